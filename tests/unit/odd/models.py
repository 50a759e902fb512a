import uuid

from django.contrib.auth.models import AbstractBaseUser, PermissionsMixin
from django.db import models


class Place(models.Model):
    id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=50)


class Shop(Place):
    """Its name is a column of Place."""

    opened = models.DateField(null=True)


class ShopProxy(Shop):
    class Meta:
        proxy = True


class Pair(models.Model):
    pk = models.CompositePrimaryKey("left", "right")
    left = models.IntegerField()
    right = models.IntegerField()


class FloatKey(models.Model):
    number = models.FloatField(primary_key=True)


class LongKey(models.Model):
    number = models.DecimalField(max_digits=20, decimal_places=4, primary_key=True)


class Tree(models.Model):
    parent = models.ForeignKey("self", on_delete=models.CASCADE)
    name = models.CharField(max_length=50)

    class Meta:
        unique_together = [("parent", "name")]


class Code(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    code = models.CharField(max_length=50, null=True, unique=True)
    slug = models.SlugField(unique=True, default="same")
    label = models.CharField(max_length=50)
    day = models.DateField()
    made = models.DateTimeField(auto_now_add=True)
    place = models.ForeignKey(Place, on_delete=models.CASCADE)
    upper = models.GeneratedField(
        expression=models.functions.Upper("label"),
        output_field=models.CharField(max_length=50, unique=True),
        db_persist=True,
    )
    number = models.CharField(max_length=50)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["number"], condition=models.Q(label="x"), name="odd_partly"),
            models.UniqueConstraint(fields=["label", "day"], name="odd_wholly"),
        ]


class Natural(models.Model):
    id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=50, unique=True)

    def natural_key(self) -> tuple[str]:
        return (self.name,)


class OtherNatural(Natural):
    other = models.CharField(max_length=50, unique=True)

    def natural_key(self) -> tuple[str]:
        return (self.other,)


class Vault(models.Model):
    id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=50)
    apiKey = models.CharField(max_length=50, default="")  # noqa: N815
    token_expires = models.DateTimeField(null=True)
    has_password = models.BooleanField(default=False)
    monkey_code = models.CharField(max_length=50, default="")


class Account(AbstractBaseUser, PermissionsMixin):
    email = models.EmailField(unique=True)
    is_staff = models.BooleanField(default=False)

    USERNAME_FIELD = "email"


def everything(queryset, peer):
    return queryset


def too_few(queryset):
    return queryset


def settle(contest: object) -> str:
    """A policy of the project's own."""
    return "local"


RULES = {"local": "local"}


class Unclear(models.Model):
    id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=50, unique=True)

    def natural_key(self) -> tuple[str]:
        return (self.name.lower(),)
