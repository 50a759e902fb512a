"""One model for each thing that a synchroniser can get wrong."""

import uuid
from decimal import Decimal

from django.db import models


class Parent(models.Model):
    """A row whose key is given by hand: what two nodes mean by "the same row" needs no luck."""

    id = models.BigIntegerField(primary_key=True)
    x = models.CharField(max_length=200, default="")
    y = models.CharField(max_length=200, default="")
    u = models.CharField(max_length=200, null=True, blank=True, unique=True)  # may be swapped
    b = models.CharField(max_length=50, default="n")  # what a filter looks at
    e = models.CharField(max_length=200, default="dflt")  # what is excluded

    def __str__(self) -> str:
        return f"parent {self.pk}: x={self.x!r} y={self.y!r} u={self.u!r} b={self.b!r} e={self.e!r}"


class Child(models.Model):
    id = models.BigIntegerField(primary_key=True)
    x = models.CharField(max_length=200, default="")
    p = models.ForeignKey(Parent, on_delete=models.CASCADE, related_name="children")
    e = models.CharField(max_length=200, default="dflt")

    def __str__(self) -> str:
        return f"child {self.pk} of {self.p_id}: x={self.x!r} e={self.e!r}"


class Born(models.Model):
    """A parent that each node numbers as it likes: IDENTITY "origin". `tag` is what a person knows it by."""

    tag = models.IntegerField()
    x = models.CharField(max_length=200, default="")
    y = models.CharField(max_length=200, default="")
    u = models.CharField(max_length=200, null=True, blank=True, unique=True)
    b = models.CharField(max_length=50, default="n")
    e = models.CharField(max_length=200, default="dflt")

    def __str__(self) -> str:
        return f"{self.pk} is {self.tag}: x={self.x!r} y={self.y!r} u={self.u!r} b={self.b!r} e={self.e!r}"


class BornChild(models.Model):
    tag = models.IntegerField()
    x = models.CharField(max_length=200, default="")
    p = models.ForeignKey(Born, on_delete=models.CASCADE, related_name="children")
    e = models.CharField(max_length=200, default="dflt")

    def __str__(self) -> str:
        return f"{self.pk} is {self.tag}, child of {self.p_id}: x={self.x!r} e={self.e!r}"


class SelfRef(models.Model):
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="children")
    name = models.CharField(max_length=200)

    def __str__(self) -> str:
        return f"{self.name} under {self.parent_id}"


class Sku(models.Model):
    """Known by its `sku` wherever it was born: IDENTITY ["sku"]."""

    sku = models.CharField(max_length=50, unique=True)
    name = models.CharField(max_length=200, default="")
    price = models.DecimalField(max_digits=10, decimal_places=2, default=Decimal("0.00"))

    def __str__(self) -> str:
        return f"{self.sku} {self.name!r} {self.price}"


class SkuNote(models.Model):
    """Points at a row that has another number on every node."""

    sku = models.ForeignKey(Sku, on_delete=models.CASCADE, related_name="notes")
    text = models.TextField(default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sku", "text"], name="zoo_skunote_once")]

    def __str__(self) -> str:
        return f"note on {self.sku_id}: {self.text!r}"


class Tag(models.Model):
    name = models.CharField(max_length=100, unique=True)

    def __str__(self) -> str:
        return self.name


class Tagged(models.Model):
    name = models.CharField(max_length=100)
    tags = models.ManyToManyField(Tag, blank=True, related_name="tagged")

    def __str__(self) -> str:
        return self.name


class Wide(models.Model):
    """The table that speed is measured with: a foreign key, two unique columns, every usual type."""

    id = models.BigIntegerField(primary_key=True)
    parent = models.ForeignKey(Parent, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    number = models.CharField(max_length=40, unique=True)
    token = models.UUIDField(default=uuid.uuid4, unique=True)
    amount = models.DecimalField(max_digits=14, decimal_places=4, default=Decimal(0))
    placed = models.DateTimeField()
    active = models.BooleanField(default=True)
    text = models.TextField(default="")
    day = models.DateField(null=True, blank=True)
    ratio = models.FloatField(default=0.0)
    data = models.JSONField(default=dict, blank=True)

    def __str__(self) -> str:
        return f"{self.pk} {self.number}"


class AllFields(models.Model):
    """Every field type that Django brings, each of them nullable where it can be."""

    big = models.BigIntegerField(null=True)
    binary = models.BinaryField(null=True)
    boolean = models.BooleanField(null=True)
    char = models.CharField(max_length=200, null=True)
    date = models.DateField(null=True)
    datetime = models.DateTimeField(null=True)
    decimal = models.DecimalField(max_digits=30, decimal_places=10, null=True)
    duration = models.DurationField(null=True)
    email = models.EmailField(null=True)
    file = models.FileField(null=True)
    file_path = models.FilePathField(null=True)
    float = models.FloatField(null=True)
    ip = models.GenericIPAddressField(null=True)
    integer = models.IntegerField(null=True)
    json = models.JSONField(null=True)
    positive = models.PositiveIntegerField(null=True)
    positive_big = models.PositiveBigIntegerField(null=True)
    positive_small = models.PositiveSmallIntegerField(null=True)
    slug = models.SlugField(null=True)
    small = models.SmallIntegerField(null=True)
    text = models.TextField(null=True)
    time = models.TimeField(null=True)
    url = models.URLField(null=True)
    uuid = models.UUIDField(null=True)

    class Meta:
        verbose_name_plural = "all fields"

    def __str__(self) -> str:
        return f"all fields {self.pk}"


class Secret(models.Model):
    """Holds what must never leave a node."""

    name = models.CharField(max_length=100)
    password = models.CharField(max_length=200, default="")

    def __str__(self) -> str:
        return self.name


class Badge(models.Model):
    """Known by its code; its primary key is no number."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    code = models.CharField(max_length=50, unique=True)
    holder = models.ForeignKey(Sku, on_delete=models.CASCADE, null=True, blank=True, related_name="+")

    def __str__(self) -> str:
        return f"{self.code} ({self.pk})"


class Branch(models.Model):
    """A tree whose rows are known by their names."""

    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    name = models.CharField(max_length=100, unique=True)

    def __str__(self) -> str:
        return f"{self.name} under {self.parent_id}"
