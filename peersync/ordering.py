"""In which order models are written: parents before children, cycles broken where they are entered."""

from __future__ import annotations

from collections.abc import Mapping, Set


def parents_first(edges: Mapping[str, Set[str | None]]) -> list[str]:
    """The keys of ``edges`` so that each stands behind those that its value names, as far as that is possible.

    ``edges``: node to the nodes that it depends on. Depth first, in the order given: the same input gives the same order.
    """
    ordered: dict[str, None] = {}
    entered: set[str] = set()
    for start in edges:
        stack = [(start, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                ordered[node] = None
            elif node not in entered:
                entered.add(node)
                stack.append((node, True))
                stack.extend((str(parent), False) for parent in sorted(edges[node], key=str) if parent in edges)
    return list(ordered)
