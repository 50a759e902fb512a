"""Settling by hand: a version that a record keeps is put back, as a local change that has seen both versions."""

from peersync.settling.kept import Side
from peersync.settling.putting import PutBack, put_back

__all__ = ["PutBack", "Side", "put_back"]
