"""Relations as real projects have them: rows that outlive what they point to, and long chains of rows."""

from django.db import models


class Text(models.Model):
    """Abstract: what a row is told apart by."""

    text = models.CharField(max_length=100, unique=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.text


class Page(Text):
    pass


class Log(Text):
    """Outlives its page, as the log entries of a CMS do."""

    page = models.ForeignKey(Page, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")


class Draft(Text):
    """Goes with its page, as far as Django sees it."""

    page = models.ForeignKey(Page, on_delete=models.CASCADE, db_constraint=False, null=True, related_name="+")


class Album(Text):
    pages = models.ManyToManyField(Page, db_constraint=False)


class Vote(Text):
    """Points at a column that is no primary key, and at nothing where a page was renamed."""

    page = models.ForeignKey(Page, on_delete=models.DO_NOTHING, db_constraint=False, to_field="text", related_name="+")


class Shelf(Text):
    pass


class Box(Text):
    shelf = models.ForeignKey(Shelf, on_delete=models.CASCADE, related_name="boxes")
    labels = models.ManyToManyField("Label", related_name="boxes")


class Label(Text):
    """Known by its text, where a test says so."""


class Ledger(Text):
    """Made by somebody else, or by nobody."""

    page = models.ForeignKey(Page, on_delete=models.DO_NOTHING, null=True, related_name="+")

    class Meta:
        managed = False
        db_table = "ledger"
