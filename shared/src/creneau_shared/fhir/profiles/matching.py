"""Decides whether a value matches a profile's fixed value or pattern, is in its value set, or belongs to a slice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from creneau_shared.fhir.paths.grammar import Name, Where, parse_path
from creneau_shared.fhir.profiles.tree import Node
from creneau_shared.fhir.terminology import value_set_codes

_steps_of = cache(parse_path)


def follows(value: Any, pattern: Any) -> bool:
    """Whether `value` has at least the content of `pattern` (FHIR R4 elementdefinition.html#pattern)."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            name in value and follows(value[name], part) for name, part in pattern.items()
        )
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(follows(v, part) for v in value) for part in pattern)
    return bool(value == pattern)


def in_value_set(value: Any, canonical: str) -> bool | None:
    """Whether a code, Coding or CodeableConcept has a code of the value set.

    None when the set is not known, and for a concept in words only: FHIR requires a code there, but the SAS platform
    accepts words.
    """
    codes = value_set_codes(canonical)
    if codes is None:
        return None
    if isinstance(value, str):
        return any(value == code for _, code in codes)
    if not isinstance(value, dict):
        return None
    if "text" in value and "coding" not in value:
        return None
    codings = value.get("coding", (value,))
    return any((coding.get("system", ""), coding.get("code", "")) in codes for coding in codings)


def belongs(item: Any, owner: Node, member: Node) -> bool | None:
    """Whether `item` is of the slice `member` of `owner`; None when it cannot be told here."""
    verdicts = [_discriminates(item, member, kind, path) for kind, path in owner.discriminators]
    if False in verdicts:
        return False
    return None if None in verdicts or not verdicts else True


def _discriminates(item: Any, member: Node, kind: str, path: str) -> bool | None:
    if kind not in ("value", "pattern"):
        return None
    if path == "url" and member.type_profiles:
        return bool(item.get("url") == member.type_profiles[0].partition("|")[0])
    if path == "$this":
        return _any_fits([item], member)
    steps = _steps_of(path)
    match steps:
        case (Name("extension"), Where((((Name("url"),), str(url)),)), Name("value")):
            return _has_extension_value(item, member, url)
    node, values = member, [item]
    for step in steps:
        if not isinstance(step, Name) or step.name not in node.children:
            return None
        node = node.children[step.name]
        values = [part for value in values for part in _parts(value, step.name)]
    return _any_fits(values, node)


def _has_extension_value(item: Any, member: Node, url: str) -> bool | None:
    """Whether `item` fulfils the discriminator `extension('url').value`; None when it cannot be told."""
    for extension in member.children["extension"].slices.values():
        if extension.type_profiles and extension.type_profiles[0].partition("|")[0] == url:
            values = [
                value
                for found in item.get("extension", ())
                if found.get("url") == url
                for value in _parts(found, "value[x]")
            ]
            return _any_fits(values, extension.children["value[x]"])
    return None


def _any_fits(values: list[Any], node: Node) -> bool | None:
    verdicts = [_fits(value, node) for value in values]
    if True in verdicts:
        return True
    return None if None in verdicts or _fits({}, node) is None else False


def _fits(value: Any, node: Node) -> bool | None:
    """Whether a value has the discriminating content of the slice; None when there is none, or it is not known here."""
    verdicts: list[bool | None] = []
    if node.has_fixed:
        verdicts.append(bool(value == node.fixed))
    if node.has_pattern:
        verdicts.append(follows(value, node.pattern))
    if node.value_set is not None:
        verdicts.append(in_value_set(value, node.value_set))
    for name, child in node.children.items():
        if _tells(child):
            verdicts.append(any(_fits(part, child) for part in _parts(value, name)))
    if False in verdicts:
        return False
    return None if None in verdicts or not verdicts else True


def _tells(node: Node) -> bool:
    return (
        node.has_fixed
        or node.has_pattern
        or node.value_set is not None
        or any(map(_tells, node.children.values()))
    )


def _parts(value: Any, name: str) -> Iterator[Any]:
    """The values of one property, a list's each by itself."""
    if not isinstance(value, dict):
        return
    for found in (
        [part for key, part in value.items() if key.startswith(name[:-3])]
        if name.endswith("[x]")
        else [value.get(name)]
    ):
        if isinstance(found, list):
            yield from found
        elif found is not None:
            yield found
