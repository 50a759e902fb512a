"""Replicas: the things that answer the five verbs for a node."""
