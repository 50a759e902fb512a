"""Primary keys of several columns."""

from django.db import models


class Hall(models.Model):
    """Numbered by each node for itself."""

    name = models.CharField(max_length=20)


class Seat(models.Model):
    """Of texts, numbers and times: the same on every node."""

    pk = models.CompositePrimaryKey("row", "number", "since")
    row = models.CharField(max_length=20)
    number = models.BigIntegerField()
    since = models.DateTimeField()
    note = models.CharField(max_length=20, default="")
    secret = models.CharField(max_length=20, default="")


class Place(models.Model):
    """A part of the key points to a row of another number on each node."""

    pk = models.CompositePrimaryKey("hall", "number")
    hall = models.ForeignKey(Hall, models.CASCADE)
    number = models.IntegerField()
    note = models.CharField(max_length=20, default="")


class Ticket(models.Model):
    """Named by a field, whatever its key is here."""

    pk = models.CompositePrimaryKey("box", "number")
    box = models.IntegerField()
    number = models.IntegerField()
    code = models.CharField(max_length=20, unique=True)
