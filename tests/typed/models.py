"""Every field class that Django ships, at home on both databases; keys of every kind; and fields of a project's own."""

import uuid
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Now, Upper

from tests.typed import fields


class Every(models.Model):
    """One nullable column of each class, and more where its arguments make another column."""

    big = models.BigIntegerField(null=True)
    binary = models.BinaryField(null=True)
    boolean = models.BooleanField(null=True)
    char = models.CharField(max_length=40, null=True)
    date = models.DateField(null=True)
    datetime = models.DateTimeField(null=True)
    decimal = models.DecimalField(max_digits=38, decimal_places=10, null=True)
    amount = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    share = models.DecimalField(max_digits=6, decimal_places=6, null=True)
    whole = models.DecimalField(max_digits=15, decimal_places=0, null=True)
    duration = models.DurationField(null=True)
    email = models.EmailField(null=True)
    file = models.FileField(null=True)
    file_path = models.FilePathField(null=True)
    float = models.FloatField(null=True)
    image = fields.Picture(null=True)
    ip = models.GenericIPAddressField(null=True)
    integer = models.IntegerField(null=True)
    json = models.JSONField(null=True)
    encoded = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    positive = models.PositiveIntegerField(null=True)
    positive_big = models.PositiveBigIntegerField(null=True)
    positive_small = models.PositiveSmallIntegerField(null=True)
    slug = models.SlugField(null=True)
    small = models.SmallIntegerField(null=True)
    text = models.TextField(null=True)
    time = models.TimeField(null=True)
    url = models.URLField(null=True)
    uuid = models.UUIDField(null=True)

    def __str__(self) -> str:
        return f"every {self.pk}"


class SmallAuto(models.Model):
    id = models.SmallAutoField(primary_key=True)
    name = models.CharField(max_length=40, default="")

    def __str__(self) -> str:
        return f"{self.pk} {self.name}"


class Auto(models.Model):
    """Its children keep an order of their own (the column ``_order``)."""

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=40, default="")

    def __str__(self) -> str:
        return f"{self.pk} {self.name}"


class Ordered(models.Model):
    auto = models.ForeignKey(Auto, on_delete=models.CASCADE)
    name = models.CharField(max_length=40, default="")

    class Meta:
        order_with_respect_to = "auto"

    def __str__(self) -> str:
        return self.name


class Kept(models.Model):
    """Columns that a database or Django fills in by itself, and columns of another name."""

    name = models.CharField(max_length=40, db_column="Odd Näme")
    made = models.DateTimeField(auto_now_add=True)
    changed = models.DateTimeField(auto_now=True)
    day = models.DateField(auto_now=True)
    clock = models.TimeField(auto_now=True)
    upper = models.GeneratedField(
        expression=Upper("name"), output_field=models.CharField(max_length=40), db_persist=True
    )
    count = models.IntegerField(db_default=7)
    since = models.DateTimeField(db_default=Now())
    hidden = models.TextField(default="", editable=False)

    def __str__(self) -> str:
        return self.name


class Own(models.Model):
    """Fields of a project's own classes."""

    secret = fields.Encrypted(null=True)
    anything = fields.Pickled(null=True)
    colour = fields.EnumField(max_length=5, null=True)
    price = fields.MoneyField(max_digits=10, decimal_places=2, null=True)
    hand = fields.Hand(null=True)

    def __str__(self) -> str:
        return f"own {self.pk}"


def _keyed(name: str, key: Any) -> type[models.Model]:
    """A model with such a primary key, and one whose rows point to it."""
    body = {"__module__": __name__, "id": key, "note": models.CharField(max_length=40, default="")}
    found = type(name, (models.Model,), body)
    child = {
        "__module__": __name__,
        "id": models.UUIDField(primary_key=True, default=uuid.uuid4),
        "to": models.ForeignKey(found, on_delete=models.CASCADE),
    }
    globals()[f"{name}Child"] = type(f"{name}Child", (models.Model,), child)
    return found


IntKey = _keyed("IntKey", models.IntegerField(primary_key=True))
BigKey = _keyed("BigKey", models.BigIntegerField(primary_key=True))
UuidKey = _keyed("UuidKey", models.UUIDField(primary_key=True))
TextKey = _keyed("TextKey", models.TextField(primary_key=True))
CharKey = _keyed("CharKey", models.CharField(primary_key=True, max_length=30))
BytesKey = _keyed("BytesKey", models.BinaryField(primary_key=True))
DateKey = _keyed("DateKey", models.DateField(primary_key=True))
DatetimeKey = _keyed("DatetimeKey", models.DateTimeField(primary_key=True))
TimeKey = _keyed("TimeKey", models.TimeField(primary_key=True))
DurationKey = _keyed("DurationKey", models.DurationField(primary_key=True))
DecimalKey = _keyed("DecimalKey", models.DecimalField(primary_key=True, max_digits=12, decimal_places=3))
IpKey = _keyed("IpKey", models.GenericIPAddressField(primary_key=True))
BoolKey = _keyed("BoolKey", models.BooleanField(primary_key=True))
