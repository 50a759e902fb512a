"""The table that speed is measured with: eleven columns, a foreign key, two unique indexes."""

import uuid
from decimal import Decimal

from django.db import models


class Maker(models.Model):
    """What the foreign key points to."""

    name = models.CharField(max_length=100)


class Columns(models.Model):
    """The eleven columns (the primary key is one)."""

    maker = models.ForeignKey(Maker, on_delete=models.CASCADE, related_name="+")
    number = models.CharField(max_length=40, unique=True)
    code = models.UUIDField(default=uuid.uuid4, unique=True)
    amount = models.DecimalField(max_digits=14, decimal_places=4, default=Decimal(0))
    placed = models.DateTimeField()
    active = models.BooleanField(default=True)
    text = models.TextField(default="")
    day = models.DateField(null=True)
    ratio = models.FloatField(default=0.0)
    data = models.JSONField(default=dict)

    class Meta:
        abstract = True


class Item(Columns):
    """The one that is synchronised."""


class Twin(Columns):
    """The same table, and nobody captures its changes: what a save costs without peersync."""
