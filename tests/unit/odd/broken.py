"""A module of a project that cannot be imported."""

settle = 1 / 0
