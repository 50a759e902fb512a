"""Rows that point to rows of any model: by numbers, texts and UUIDs; to targets of every way to be named."""

import uuid

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models


class Pointing(models.Model):
    """The content type may be empty; what the object id is, a child says."""

    content_type = models.ForeignKey(ContentType, models.CASCADE, null=True, blank=True)
    text = models.CharField(max_length=50, default="")
    about = GenericForeignKey("content_type", "object_id", for_concrete_model=False)

    class Meta:
        abstract = True


class Note(Pointing):
    """By a number. Notes may be about notes."""

    object_id = models.PositiveBigIntegerField(null=True)


class Remark(Pointing):
    """By a number that is never NULL."""

    object_id = models.IntegerField()


class Label(Pointing):
    """By a text; the same label stands once at one row."""

    object_id = models.CharField(max_length=50, default="")

    class Meta:
        unique_together = [("content_type", "object_id", "text")]


class Mark(Pointing):
    """By a UUID."""

    object_id = models.UUIDField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["content_type", "object_id"], name="one_mark_a_row")]


class Order(models.Model):
    """Named by its origin."""

    name = models.CharField(max_length=50)
    notes = GenericRelation(Note)


class LateOrder(Order):
    """A child: its content type is its own, its number its parent's."""

    days = models.IntegerField(default=0)


class Rush(Order):
    class Meta:
        proxy = True


class Article(models.Model):
    """Named by a field."""

    sku = models.CharField(max_length=20, unique=True)


class Page(models.Model):
    """A UUID that is not what names it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    slug = models.CharField(max_length=20, unique=True)


class Plain(models.Model):
    """Its primary key is the same everywhere."""

    name = models.CharField(max_length=50)


class Reply(models.Model):
    """It hangs on a note, and notes may be about it: whichever is written first, the other is not there yet."""

    note = models.ForeignKey(Note, models.CASCADE)


class LateReply(Reply):
    """Its number is its parent's."""


class Home(models.Model):
    """Not synchronised."""

    name = models.CharField(max_length=50)
