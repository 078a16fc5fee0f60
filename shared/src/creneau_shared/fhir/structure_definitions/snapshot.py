"""A profile's snapshot: the elements of its base with its differential laid over them (R4 profiling.html#snapshot)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

Element = dict[str, Any]


class Snapshot:
    """The elements in their order; elements are added when a differential reaches into data types and slices.

    `elements_of(type)` gives the snapshot of the content of an element of that `ElementDefinition.type`, its root first.
    """

    def __init__(self, base: Sequence[Element], elements_of: Callable[[Element], Sequence[Element]]) -> None:
        self._elements = [copy.deepcopy(element) for element in base]
        self._elements_of = elements_of

    @property
    def elements(self) -> list[Element]:
        return self._elements

    def lay_over(self, change: Element) -> None:
        """Applies one element of the differential."""
        self._find(change["id"]).update(copy.deepcopy(change))

    def _find(self, element_id: str) -> Element:
        place = self._place(element_id)
        if place is None:
            self._make(element_id)
            place = self._place(element_id)
            assert place is not None, f"{element_id} is no element of its base"
        return self._elements[place]

    def _place(self, element_id: str) -> int | None:
        return next((i for i, element in enumerate(self._elements) if element["id"] == element_id), None)

    def _make(self, element_id: str) -> None:
        parent, _, last = element_id.rpartition(".")
        name, _, slice_name = last.partition(":")
        self._find(parent)
        if self._place(f"{parent}.{name}") is None:
            self._open(parent)
        if slice_name and self._place(element_id) is None:
            self._slice(f"{parent}.{name}", slice_name)

    def _open(self, parent: str) -> None:
        """Adds below the element `parent` the elements of its type, if it has none yet."""
        element = self._find(parent)
        inside = self._elements_of(element["type"][0])
        root = inside[0]["id"]
        place = self._place(parent)
        assert place is not None
        self._elements[place + 1 : place + 1] = [
            _moved(part, root, parent, element["path"]) for part in inside[1:]
        ]

    def _slice(self, element_id: str, slice_name: str) -> None:
        """Copies an element and all below it as a slice, after the existing slices."""
        own = [e for e in self._elements if e["id"] == element_id or e["id"].startswith(f"{element_id}.")]
        sliced_id = f"{element_id}:{slice_name}"
        copied = [_moved(element, element_id, sliced_id, own[0]["path"]) for element in own]
        copied[0]["sliceName"] = slice_name
        copied[0].pop("slicing", None)
        last = max(
            i
            for i, e in enumerate(self._elements)
            if e["id"] == element_id or e["id"].startswith((f"{element_id}.", f"{element_id}:"))
        )
        self._elements[last + 1 : last + 1] = copied


def _moved(element: Element, root: str, to_id: str, to_path: str) -> Element:
    """The element moved to another place: the id contains slice names, the path does not."""
    moved = copy.deepcopy(element)
    rest = element["id"][len(root) :]
    moved["id"] = to_id + rest
    moved["path"] = to_path + path_of(rest)
    return moved


def path_of(element_id: str) -> str:
    """An element's path: its id without slice names."""
    return ".".join(segment.partition(":")[0] for segment in element_id.split("."))
