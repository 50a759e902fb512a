"""Columns of PostgreSQL's own types. Installed, and its tables made, by the tests that are about them."""

from django.contrib.postgres import fields, search
from django.db import models

from tests.typed.fields import Legacy, Mood


class Ranges(models.Model):
    """SQLite makes columns of any type's name: this table stands on both."""

    ints = fields.IntegerRangeField(null=True)
    bigs = fields.BigIntegerRangeField(null=True)
    decimals = fields.DecimalRangeField(null=True)
    days = fields.DateRangeField(null=True)
    times = fields.DateTimeRangeField(null=True)
    text = models.TextField(default="")

    def __str__(self) -> str:
        return f"ranges {self.pk}"


class Arrays(models.Model):
    ints = fields.ArrayField(models.IntegerField(null=True), null=True)
    texts = fields.ArrayField(models.CharField(max_length=20, null=True), null=True)
    decimals = fields.ArrayField(models.DecimalField(max_digits=38, decimal_places=10), null=True)
    floats = fields.ArrayField(models.FloatField(), null=True)
    times = fields.ArrayField(models.DateTimeField(), null=True)
    durations = fields.ArrayField(models.DurationField(), null=True)
    blobs = fields.ArrayField(models.BinaryField(), null=True)
    uuids = fields.ArrayField(models.UUIDField(), null=True)
    documents = fields.ArrayField(models.JSONField(), null=True)
    nested = fields.ArrayField(fields.ArrayField(models.IntegerField(), size=2), null=True)
    home = fields.ArrayField(models.TextField(), default=list)
    """Excluded where a test says so."""

    def __str__(self) -> str:
        return f"arrays {self.pk}"


class Others(models.Model):
    words = search.SearchVectorField(null=True)
    mood = Mood(null=True)
    legacy = Legacy(null=True)

    def __str__(self) -> str:
        return f"others {self.pk}"


class Extension(models.Model):
    """Types that come with extensions: the tests make stand-ins where a server has none."""

    pairs = fields.HStoreField(null=True)
    label = type("CIText", (models.TextField,), {"db_type": lambda self, connection: "citext"})(null=True)

    def __str__(self) -> str:
        return f"extension {self.pk}"
