"""What is known of a column before a codec is chosen for it."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """A column on one database. ``db_type``: as the database calls it; ``wire``: by Django's internal type.

    ``zone``: in which naive datetimes are stored; empty for UTC, and where the database knows instants.
    """

    wire: str
    db_type: str = ""
    digits: int | None = None
    places: int | None = None
    zone: str = ""

    @property
    def base(self) -> str:
        """The type without what narrows it: ``varchar(20)[]`` is ``varchar[]``."""
        return re.sub(r"\s*\([^)]*\)", "", self.db_type).strip()

    @property
    def length(self) -> int | None:
        """The most characters that it takes, where it is bounded."""
        found = re.search(r"char\w*(?: varying)?\s*\((\d+)\)", self.db_type, re.IGNORECASE)
        return int(found[1]) if found else None

    def declared(self, wire: str) -> str:
        """The wire type with what narrows it."""
        if wire == "decimal" and self.digits is not None:
            return f"decimal({self.digits},{self.places})"
        if wire == "text" and self.length is not None:
            return f"text({self.length})"
        return f"{wire}({self.zone})" if self.zone and wire == "datetime" else wire
