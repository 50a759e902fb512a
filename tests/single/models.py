"""Every shape in which a value may stand once only; most of them where no other value could stand in for it meanwhile."""

from django.db import models
from django.db.models import CheckConstraint, Deferrable, Q, UniqueConstraint
from django.db.models.functions import Lower


class Customer(models.Model):
    name = models.CharField(max_length=40, default="")

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    """No code but a well-formed one."""

    code = models.CharField(max_length=20, unique=True)
    text = models.TextField(default="")

    class Meta:
        constraints = [CheckConstraint(condition=Q(code__regex=r"^[A-Z]-[0-9]+$"), name="single_product_code")]

    def __str__(self) -> str:
        return self.code


class Slot(models.Model):
    shelf = models.IntegerField()
    place = models.IntegerField()
    text = models.TextField(default="")

    class Meta:
        unique_together = [("shelf", "place")]
        constraints = [CheckConstraint(condition=Q(shelf__gte=1, place__gte=1), name="single_slot_positive")]

    def __str__(self) -> str:
        return f"{self.shelf}/{self.place}"


class Address(models.Model):
    """One of a customer's is his default."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    main = models.BooleanField(default=False)
    text = models.TextField(default="")

    class Meta:
        constraints = [UniqueConstraint(fields=["customer"], condition=Q(main=True), name="single_address_main")]

    def __str__(self) -> str:
        return self.text


class Account(models.Model):
    email = models.CharField(max_length=100)
    active = models.BooleanField(default=True)

    class Meta:
        constraints = [
            UniqueConstraint(Lower("email"), name="single_account_email"),
            CheckConstraint(condition=Q(email__contains="@"), name="single_account_at"),
        ]

    def __str__(self) -> str:
        return self.email


class Seat(models.Model):
    """NULL counts as a value, where the database knows how."""

    line = models.IntegerField(null=True)
    number = models.IntegerField()

    class Meta:
        constraints = [
            UniqueConstraint(fields=["line", "number"], nulls_distinct=False, name="single_seat_once"),
            CheckConstraint(condition=Q(number__gte=0), name="single_seat_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.line}/{self.number}"


class Rank(models.Model):
    position = models.PositiveIntegerField()

    class Meta:
        constraints = [
            UniqueConstraint(fields=["position"], deferrable=Deferrable.DEFERRED, name="single_rank_position")
        ]

    def __str__(self) -> str:
        return str(self.position)


class Card(models.Model):
    """One of each customer's, and never of nobody."""

    customer = models.OneToOneField(Customer, on_delete=models.CASCADE)
    text = models.TextField(default="")

    def __str__(self) -> str:
        return self.text


class Letter(models.Model):
    sign = models.CharField(max_length=1, unique=True)
    day = models.DateField(unique=True)
    share = models.FloatField(unique=True)

    def __str__(self) -> str:
        return self.sign


class Mark(models.Model):
    """A foreign key that is unique with another column, rows that hang on such rows, and a generated column."""

    slot = models.ForeignKey(Slot, on_delete=models.CASCADE)
    color = models.CharField(max_length=5)
    twice = models.GeneratedField(
        expression=models.F("color"), output_field=models.CharField(max_length=5), db_persist=True
    )

    class Meta:
        constraints = [UniqueConstraint(fields=["slot", "color"], name="single_mark_once")]

    def __str__(self) -> str:
        return self.color
