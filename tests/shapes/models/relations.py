"""One model for each way in which a row points at another."""

import uuid

from django.db import models

from tests.shapes.models.inheriting import Named


class Person(Named):
    """Points at its own kind, in every way."""

    boss = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    mother = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    friends = models.ManyToManyField("self", blank=True)
    admires = models.ManyToManyField("self", blank=True, symmetrical=False, related_name="admired_by")


class SpecialPerson(Person):
    """No table of its own."""

    class Meta:
        proxy = True


class Passport(models.Model):
    """Its primary key is the row that it belongs to."""

    person = models.OneToOneField(Person, on_delete=models.CASCADE, primary_key=True, related_name="passport")
    text = models.CharField(max_length=100)
    value = models.CharField(max_length=100, default="")

    def __str__(self) -> str:
        return f"{self.text} of {self.person_id}"


class Country(Named):
    code = models.CharField(max_length=100, unique=True)


class City(Named):
    """Points at a column that is no primary key."""

    country = models.ForeignKey(Country, on_delete=models.CASCADE, to_field="code", related_name="cities")


class Loose(Named):
    """May point at nothing: no constraint looks."""

    target = models.ForeignKey(
        Person, on_delete=models.DO_NOTHING, db_constraint=False, null=True, blank=True, related_name="+"
    )


class Outsider(Named):
    """Stays at home."""


class Pointer(Named):
    """Points at a row that is not synchronised."""

    outsider = models.ForeignKey(Outsider, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")


class Left(Named):
    """With Right a circle that may be open."""

    right = models.ForeignKey("Right", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")


class Right(Named):
    left = models.ForeignKey(Left, on_delete=models.CASCADE, null=True, blank=True, related_name="+")


class Hen(Named):
    """With Egg a circle that is never open: both are written in one transaction."""

    egg = models.ForeignKey("Egg", on_delete=models.CASCADE, related_name="+")


class Egg(Named):
    hen = models.ForeignKey(Hen, on_delete=models.CASCADE, related_name="+")


class Member(Named):
    pass


class Club(Named):
    members = models.ManyToManyField(Member, through="Membership", related_name="clubs")


class Membership(models.Model):
    """A through model with columns of its own."""

    club = models.ForeignKey(Club, on_delete=models.CASCADE)
    member = models.ForeignKey(Member, on_delete=models.CASCADE)
    text = models.CharField(max_length=100)
    value = models.CharField(max_length=100, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["club", "member"], name="shapes_once_a_member")]

    def __str__(self) -> str:
        return f"{self.member_id} in {self.club_id}: {self.text}"


class Shown(models.Manager["Hidden"]):
    def get_queryset(self) -> models.QuerySet["Hidden"]:
        return super().get_queryset().filter(gone=False)


class Hidden(Named):
    """Its default manager hides rows that are marked as gone; they travel like the others."""

    gone = models.BooleanField(default=False)

    objects = Shown()


class Envelope(models.Model):
    """Has a key that no two nodes give twice."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    text = models.CharField(max_length=100)
    value = models.CharField(max_length=100, default="")
    inside = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="+")

    def __str__(self) -> str:
        return self.text


class Seat(Named):
    """Its rows change places: two unique values, one of them in a pair."""

    place = models.CharField(max_length=100, unique=True, null=True, blank=True)
    table = models.CharField(max_length=100)
    chair = models.IntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["table", "chair"], name="shapes_one_chair")]


class Note(Named):
    """Points at any row that has a number."""

    content_type = models.ForeignKey("contenttypes.ContentType", on_delete=models.CASCADE, null=True, blank=True)
    object_id = models.BigIntegerField(null=True, blank=True)


class Remark(Named):
    """Points at any row, by a text."""

    content_type = models.ForeignKey("contenttypes.ContentType", on_delete=models.CASCADE, null=True, blank=True)
    object_id = models.CharField(max_length=100, default="", blank=True)
