"""Checks a resource against a compiled profile in one walk; a path is written out only for a finding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from creneau_shared.errors import Issue
from creneau_shared.fhir.datatypes import parse_reference
from creneau_shared.fhir.profiles import findings
from creneau_shared.fhir.profiles.catalogue import Profile, profile_of
from creneau_shared.fhir.profiles.constraints import CONSTRAINTS
from creneau_shared.fhir.profiles.matching import belongs, follows, in_value_set
from creneau_shared.fhir.profiles.tree import Node, tree_of

Json = dict[str, Any]
Item = tuple[str, Any]
"""(path, value)"""


def check_profile(resource: Json, profile: Profile) -> Iterator[Issue]:
    """The rules that `resource` breaks, of a profile and of its base profiles."""
    name = resource["resourceType"]
    if name != profile.type:
        yield findings.other_base(profile.short_name, name, profile.type)
        return
    yield from check_value(resource, profile, name, resource)


def check_value(value: Any, profile: Profile, path: str, root: Json) -> Iterator[Issue]:
    """As `check_profile`, for a value of a profiled data type at `path` inside `root`."""
    yield from _Walk(profile, root).value(value, tree_of(profile.url), path)


class _Walk:
    """The check of one resource against one profile."""

    def __init__(self, profile: Profile, root: Json) -> None:
        self._profile = profile.short_name
        self._root = root

    def value(self, value: Any, node: Node, path: str) -> Iterator[Issue]:
        """Checks one value and its content."""
        if node.has_fixed and value != node.fixed:
            yield findings.other_value(self._profile, path, node.fixed)
        if node.has_pattern and not follows(value, node.pattern):
            yield findings.other_value(self._profile, path, node.pattern)
        if node.value_set is not None:
            yield from self._binding(value, node.value_set, path)
        if node.max_length is not None and isinstance(value, str) and len(value) > node.max_length:
            yield findings.too_long(self._profile, path, node.max_length)
        if not isinstance(value, dict):
            return
        for key in node.constraints:
            if not CONSTRAINTS[key].holds(value):
                yield CONSTRAINTS[key].issue(self._profile, path)
        if node.targets or node.aggregation:
            yield from self._reference(value, node, path)
        if node.types != {"Extension"}:
            for url in node.type_profiles:
                if (profile := profile_of(url)) is not None:
                    yield from check_value(value, profile, path, self._root)
        for child in node.children.values():
            yield from self._element(value, child, path)

    def _binding(self, value: Any, value_set: str, path: str) -> Iterator[Issue]:
        if in_value_set(value, value_set) is False:
            yield findings.outside_value_set(self._profile, path, value_set)
        elif isinstance(value, dict) and "text" in value and "coding" not in value:
            yield findings.words_only(self._profile, path, value_set)

    def _element(self, owner: Json, node: Node, path: str) -> Iterator[Issue]:
        """Checks all values of one element of `owner`."""
        items, place = _items(owner, node.name, path)
        yield from self._count(items, node, place, None)
        if node.name.endswith("[x]") and node.types:
            yield from self._choice(owner, node, path)
        for where, item in items:
            if item is not None:
                yield from self.value(item, node, where)
        if node.slices:
            yield from self._slices(items, node, place)

    def _count(self, items: list[Item], node: Node, place: str, slice_name: str | None) -> Iterator[Issue]:
        if len(items) < node.min:
            yield findings.too_few(self._profile, place, node.min, len(items), slice_name)
        elif node.max is not None and len(items) > node.max:
            yield findings.too_many(self._profile, place, node.max, len(items), slice_name)

    def _choice(self, owner: Json, node: Node, path: str) -> Iterator[Issue]:
        group = node.name[:-3]
        allowed = {group + name[:1].upper() + name[1:] for name in node.types}
        for name in owner:
            if name.startswith(group) and name not in allowed:
                yield findings.other_type(self._profile, f"{path}.{group}", ", ".join(sorted(node.types)))

    def _slices(self, items: list[Item], node: Node, place: str) -> Iterator[Issue]:
        members: dict[str, list[Item]] = {name: [] for name in node.slices}
        undecided: set[str] = set()
        for where, item in items:
            verdict: bool | None = False
            for name, member in node.slices.items():
                verdict = belongs(item, node, member)
                if verdict is None:
                    undecided.add(name)
                elif verdict:
                    members[name].append((where, item))
                    break
            if verdict is False and node.closed and not undecided:
                yield findings.no_slice(self._profile, where)
        for name, found in members.items():
            if name not in undecided:
                yield from self._count(found, node.slices[name], place, name)
            for where, item in found:
                yield from self.value(item, node.slices[name], where)

    def _reference(self, reference: Json, node: Node, path: str) -> Iterator[Issue]:
        literal = reference.get("reference")
        parsed = parse_reference(literal) if isinstance(literal, str) else None
        if parsed is None:
            return
        contained = parsed.fragment is not None
        if node.aggregation and contained != ("contained" in node.aggregation):
            yield findings.other_aggregation(self._profile, path, contained=not contained)
        target = self._contained_type(parsed.fragment) if parsed.fragment is not None else parsed.type
        target = target or reference.get("type")
        if node.targets and target is not None and target not in node.targets:
            yield findings.other_target(self._profile, path, ", ".join(sorted(node.targets)))

    def _contained_type(self, fragment: str) -> str | None:
        for resource in self._root.get("contained", ()):
            if resource.get("id") == fragment:
                return str(resource["resourceType"])
        return None


def _items(owner: Json, name: str, path: str) -> tuple[list[Item], str]:
    """The values of an element with their paths, and the path of the element as a whole."""
    if name.endswith("[x]"):
        group = name[:-3]
        place = f"{path}.{group}"
        return [(place, value) for key, value in owner.items() if key.startswith(group)], place
    place = f"{path}.{name}"
    value = owner.get(name)
    if isinstance(value, list):
        return [(f"{place}[{index}]", item) for index, item in enumerate(value)], place
    if value is None and f"_{name}" in owner:
        beside = owner[f"_{name}"]
        return [(place, None)] * (len(beside) if isinstance(beside, list) else 1), place
    return ([] if value is None else [(place, value)]), place
