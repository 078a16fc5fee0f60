"""A compiled profile: a tree of elements with their rules, walked once for each resource."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from creneau_shared.fhir.profiles.catalogue import Profile, profile_catalogue, profile_of, target_type

HELD_BY: Final = "heldBy"
"""in a row: the service whose own rule holds it; the row is only read by clients"""
_VALUE_KEYS: Final = ("fixed", "pattern")
_ABSENT: Final = object()
_BY_URL: Final = (("value", "url"),)
"""Extensions are always sliced by their url, whether a differential says so or not."""


@dataclass(slots=True, eq=False)
class Node:
    """The rules of a profile for one element.

    `name` is the JSON property, or `value[x]` for any type of a choice. `min` and `max` (None: any number) are the
    profile's own; the base definition has been checked before. `slices` are by name, in their order.
    """

    name: str
    min: int = 0
    max: int | None = None
    fixed: Any = _ABSENT
    pattern: Any = _ABSENT
    value_set: str | None = None
    types: frozenset[str] = frozenset()
    type_profiles: tuple[str, ...] = ()
    targets: frozenset[str] = frozenset()
    aggregation: frozenset[str] = frozenset()
    max_length: int | None = None
    constraints: tuple[str, ...] = ()
    children: dict[str, Node] = field(default_factory=dict)
    slices: dict[str, Node] = field(default_factory=dict)
    discriminators: tuple[tuple[str, str], ...] = ()
    closed: bool = False

    @property
    def has_fixed(self) -> bool:
        return self.fixed is not _ABSENT

    @property
    def has_pattern(self) -> bool:
        return self.pattern is not _ABSENT

    def child(self, name: str) -> Node:
        """The child node of that name; created if there is none yet."""
        return self.children.setdefault(name, Node(name))


@cache
def tree_of(url: str) -> Node:
    """The tree of a known profile; its root stands for the resource or data type itself."""
    return _compile(profile_catalogue()[url])


def _compile(profile: Profile) -> Node:
    root = Node(profile.type)
    for element in _rows(profile):
        if HELD_BY in element:
            continue  # that service's own rule names what is wrong in the words of the guide
        _demand(_place(root, element["id"]), element)
    return root


def _rows(profile: Profile) -> Iterator[Mapping[str, Any]]:
    """The rows of the base profile, then the profile's own: it may narrow a slice that its base declares."""
    base = profile_of(profile.base)
    if base is not None:
        yield from _rows(base)
    yield from profile.elements


def _place(root: Node, element_id: str) -> Node:
    node = root
    for segment in element_id.split(".")[1:]:
        name, _, slice_name = segment.partition(":")
        if name.endswith("[x]") and slice_name:
            node = node.child(slice_name)  # a choice is sliced by its types, which JSON names
        else:
            node = node.child(name)
            if slice_name:
                if name.endswith("xtension") and not node.discriminators:
                    node.discriminators = _BY_URL
                node = node.slices.setdefault(slice_name, Node(name))
    return node


def _demand(node: Node, element: Mapping[str, Any]) -> None:
    node.min = element.get("min", node.min)
    if "max" in element:
        node.max = None if element["max"] == "*" else int(element["max"])
    for name, value in element.items():
        for kind in _VALUE_KEYS:
            if name.startswith(kind):
                setattr(node, kind, value)
    binding = element.get("binding")
    if binding and binding["strength"] == "required":
        node.value_set = binding["valueSet"]
    node.max_length = element.get("maxLength", node.max_length)
    node.constraints += tuple(rule["key"] for rule in element.get("constraint", ()))
    if "slicing" in element:
        slicing = element["slicing"]
        node.discriminators = tuple((d["type"], d["path"]) for d in slicing["discriminator"])
        node.closed = slicing["rules"] == "closed"
    if "type" in element:
        _demand_types(node, element["type"])


def _demand_types(node: Node, types: Any) -> None:
    node.types = frozenset(type_["code"] for type_ in types)
    node.type_profiles = tuple(url for type_ in types for url in type_.get("profile", ()))
    targets = [target_type(url) for type_ in types for url in type_.get("targetProfile", ())]
    if None not in targets:
        node.targets = frozenset(target for target in targets if target)
    node.aggregation = frozenset(mode for type_ in types for mode in type_.get("aggregation", ()))
