"""What natural keys are made of is read from their code, and never guessed."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import models
from django.test.utils import isolate_apps

from peersync.naturals import natural_fields, unique_fields
from tests.keyed.models import Book, Chapter
from tests.zoo.models import Sku


class Named(models.Model):
    """What they have in common."""

    code = models.CharField(max_length=9, unique=True)
    slug = models.CharField(max_length=9, unique=True)

    class Meta:
        abstract = True
        app_label = "zoo"


def manager(*names: str) -> Any:
    """A manager whose look-up has these parameters."""
    made: dict[str, Any] = {}
    exec(f"def get_by_natural_key(self, {', '.join(names)}): ...", made)  # names are the tests' own
    return type("Manager", (models.Manager,), {"get_by_natural_key": made["get_by_natural_key"]})()


def test_fields_and_rows() -> None:
    assert natural_fields(Book) == ("isbn",)
    assert natural_fields(Chapter) == ("book", "number")
    assert natural_fields(User) == ("username",)
    assert natural_fields(Sku) is None


@isolate_apps("tests.zoo")
@pytest.mark.parametrize("form", ["added", "alone", "by column", "list"])
def test_other_forms(form: str) -> None:
    class Part(Named):
        whole = models.ForeignKey(Book, models.CASCADE)

    def added(self: Any) -> Any:
        """In the manner of Django's documents."""
        return (self.slug, *self.whole.natural_key()) + (self.code,)  # noqa: RUF005  # as people write it

    def alone(self: Any) -> Any:
        return self.whole.natural_key()

    def by_column(row: Any) -> Any:
        return (row.whole_id, row.slug)

    def as_list(self: Any) -> Any:
        return [self.slug]

    forms = {"added": added, "alone": alone, "by column": by_column, "list": as_list}
    expected = {
        "added": ("slug", "whole", "code"),
        "alone": ("whole",),
        "by column": ("whole", "slug"),
        "list": ("slug",),
    }
    Part.natural_key = forms[form]  # type: ignore[attr-defined]  # of one form in turn
    assert natural_fields(Part) == expected[form]


@isolate_apps("tests.zoo")
def test_code_that_says_nothing_for_certain() -> None:
    def lowered(self: Any) -> Any:
        return (self.slug.lower(),)

    def either(self: Any) -> Any:
        if self.slug:
            return (self.slug,)
        return (self.code,)

    def neither(self: Any) -> Any:
        return (self.label, self.pk)

    for place, unclear in enumerate((lowered, either, neither)):
        model: Any = type(f"Unclear{place}", (Named,), {"__module__": __name__, "Meta": _Meta, "natural_key": unclear})
        assert natural_fields(model) is None
        assert unique_fields(model) == ("code",)
        known: Any = type(
            f"Known{place}",
            (Named,),
            {"__module__": __name__, "Meta": _Meta, "natural_key": unclear, "objects": manager("slug")},
        )
        assert natural_fields(known) == ("slug",)
        other: Any = type(
            f"Other{place}",
            (Named,),
            {"__module__": __name__, "Meta": _Meta, "natural_key": unclear, "objects": manager("text")},
        )
        assert natural_fields(other) is None


@isolate_apps("tests.zoo")
def test_code_that_contradicts_itself() -> None:
    class Contradiction(Named):
        objects = manager("code")

        def natural_key(self) -> Any:
            return (self.slug,)

    assert natural_fields(Contradiction) is None


class _Meta:
    app_label = "zoo"
