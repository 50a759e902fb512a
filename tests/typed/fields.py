"""Fields as projects make them: a class of their own around a column of Django's, or a column of its own.

Each notes when code of it runs on a value that came out of a column: a transfer must never make that happen.
"""

import base64
import enum
import pickle
from typing import Any

from django.db import models

ran: list[str] = []
"""What code of these classes ran on, since a test emptied it."""


class Encrypted(models.TextField):
    """Holds a text that only it can read (here: reversed, in base64)."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        ran.append(f"encrypted {value!r}")
        return None if value is None else base64.b64decode(value).decode()[::-1]

    def to_python(self, value: Any) -> Any:
        ran.append(f"encrypted {value!r}")
        return value

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else base64.b64encode(str(value)[::-1].encode()).decode()


class Pickled(models.BinaryField):
    """Holds any object. Whoever unpickles what a peer sent runs what the peer likes."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        ran.append("unpickled")
        return None if value is None else pickle.loads(bytes(value))

    def to_python(self, value: Any) -> Any:
        ran.append("unpickled")
        return pickle.loads(value) if isinstance(value, bytes) else value

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return None if value is None else super().get_db_prep_value(pickle.dumps(value), connection, prepared)


class Colour(enum.Enum):
    RED = "r"
    GREEN = "g"


class EnumField(models.CharField):
    """Holds the value of a member; reading another one fails."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        ran.append(f"enum {value!r}")
        return None if value is None else Colour(value)

    def to_python(self, value: Any) -> Any:
        ran.append(f"enum {value!r}")
        return value if value is None or isinstance(value, Colour) else Colour(value)

    def get_prep_value(self, value: Any) -> Any:
        return value.value if isinstance(value, Colour) else value


class Money:
    def __init__(self, amount: Any) -> None:
        self.amount = amount

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and self.amount == other.amount

    def __hash__(self) -> int:
        return hash(self.amount)


class MoneyField(models.DecimalField):
    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        ran.append("money")
        return None if value is None else Money(value)

    def to_python(self, value: Any) -> Any:
        ran.append("money")
        return value.amount if isinstance(value, Money) else super().to_python(value)

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        return super().get_db_prep_save(value.amount if isinstance(value, Money) else value, connection)


class Hand(models.Field):
    """As Django's documents make one: no internal type that anybody knows, and a column type that all databases know."""

    def db_type(self, connection: Any) -> str:
        return "varchar(104)"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        ran.append("hand")
        return value


class Legacy(models.TextField):
    """A JSON column of the time before Django had one: of another type on each database."""

    def db_type(self, connection: Any) -> str:
        return "jsonb" if connection.vendor == "postgresql" else "text"


class Mood(models.TextField):
    """A type of the project's own database, on PostgreSQL."""

    def db_type(self, connection: Any) -> str:
        return "mood" if connection.vendor == "postgresql" else "text"


class Picture(models.ImageField):
    def _check_image_library_installed(self) -> list[Any]:
        return []  # Pillow is of no use here
