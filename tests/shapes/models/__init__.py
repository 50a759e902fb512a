"""Every shape that models take in real projects, each row with a text that no other row bears.

So rows can be told apart, and compared between nodes, whatever numbers they have there.
"""

from tests.shapes.models.company import Customer, Line, Order
from tests.shapes.models.inheriting import Cafe, Pizzeria, Place, Restaurant
from tests.shapes.models.relations import (
    City,
    Club,
    Country,
    Egg,
    Envelope,
    Hen,
    Hidden,
    Left,
    Loose,
    Member,
    Membership,
    Note,
    Outsider,
    Passport,
    Person,
    Pointer,
    Remark,
    Right,
    Seat,
    SpecialPerson,
)

__all__ = [
    "Cafe",
    "City",
    "Club",
    "Country",
    "Customer",
    "Egg",
    "Envelope",
    "Hen",
    "Hidden",
    "Left",
    "Line",
    "Loose",
    "Member",
    "Membership",
    "Note",
    "Order",
    "Outsider",
    "Passport",
    "Person",
    "Pizzeria",
    "Place",
    "Pointer",
    "Remark",
    "Restaurant",
    "Right",
    "Seat",
    "SpecialPerson",
]
