"""Rows that are named in uncommon ways: by primary keys of several columns, by natural keys with rows in them."""

from typing import Any

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


class Book(models.Model):
    """Its first unique field is not its natural key."""

    shelf_mark = models.CharField(max_length=20, unique=True)
    isbn = models.CharField(max_length=20, unique=True)

    def natural_key(self) -> tuple[Any, ...]:
        return (self.isbn,)


class Chapter(models.Model):
    book = models.ForeignKey(Book, models.CASCADE)
    number = models.IntegerField()
    title = models.CharField(max_length=20, default="")

    class Meta:
        unique_together = [("book", "number")]

    def natural_key(self) -> tuple[Any, ...]:
        return (*self.book.natural_key(), self.number)


class Shelf(models.Model):
    """Named by its name; what stands on it points to its code."""

    name = models.CharField(max_length=20, unique=True)
    code = models.CharField(max_length=20, unique=True)


class Box(models.Model):
    shelf = models.ForeignKey(Shelf, models.CASCADE, to_field="code")
    number = models.IntegerField()

    class Meta:
        unique_together = [("shelf", "number")]
