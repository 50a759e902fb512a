"""Applying a batch: rows, row states, records, what waits and the checkpoint, all in one transaction."""

from peersync.apply.batch import apply_batch

__all__ = ["apply_batch"]
