"""What the directory's search says beside its matches, as a page shows it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from creneau_web.care.when import NARROWING
from creneau_web.fhir.values import entries

Resource = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """`calls`: whom to call first; `who`: the care that is meant; `read`: (words, what they were taken for); `ignored`:
    words; `remarks`: how the search was widened, what is missing; `named`: whether words were taken for a name; `wishes`: when
    somebody would like to come, by which their free times are chosen (`care.when`)."""

    calls: tuple[str, ...] = ()
    who: str | None = None
    read: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    named: bool = False
    wishes: tuple[str, ...] = ()


def parameters_of(bundle: Resource) -> Resource:
    """The Parameters of an answer; empty when there are none."""
    return next(entries(bundle, "Parameters"), {})


def told_of(bundle: Resource) -> Told:
    """Reads what an answer says of itself."""
    parameters = parameters_of(bundle)
    read = [
        (text, meanings, kind, codes)
        for part in _all(parameters, "understood")
        for text, meanings, kind, codes in [_read(part.get("part", ()))]
    ]
    issues = [issue for outcome in entries(bundle, "OperationOutcome") for issue in outcome.get("issue", ())]
    care = next(
        (m for kinds in (("care",), ("motive",)) for _, m, kind, _ in read if kind in kinds and m), ()
    )
    return Told(
        calls=tuple(_text(issue) for issue in issues if _code(issue).startswith("call-")),
        who=care[0] if care else None,
        read=tuple(
            (text, ", ".join(meanings))
            for text, meanings, kind, codes in read
            if meanings and kind not in _SILENT and (kind != "when" or NARROWING.intersection(codes))
        ),
        ignored=tuple(part["valueString"] for part in _all(parameters, "ignored")),
        remarks=tuple(
            _text(issue)
            for issue in issues
            if _code(issue).startswith("care-") and _code(issue) not in _UNTOLD
        ),
        named=any(kind == "name" for _, _, kind, _ in read),
        wishes=tuple(
            dict.fromkeys(
                code for _, _, kind, codes in read for code in codes if kind == "when" and code in NARROWING
            )
        ),
    )


_UNTOLD = frozenset({"care-many", "care-when"})
"""codes that the pages show otherwise: the free times of each say when"""
_SILENT = frozenset({"skip", "title", "near", "nearme", "emergency", "name"})


def _read(parts: list[dict[str, Any]]) -> tuple[str, tuple[str, ...], str, tuple[str, ...]]:
    """Words, what they were taken for, of which kind, and the codes of that."""
    values = [(part["name"], next(v for k, v in part.items() if k.startswith("value"))) for part in parts]
    by_name = dict(reversed(values))
    meanings = tuple(str(value) for name, value in values if name == "meaning")
    codes = tuple(str(value.get("code", "")) for name, value in values if name == "code")
    return str(by_name.get("text", "")), meanings, str(by_name.get("kind", "")), codes


def _all(parameters: Resource, name: str) -> Iterator[dict[str, Any]]:
    return (one for one in parameters.get("parameter", ()) if one.get("name") == name)


def _code(issue: Resource) -> str:
    coding: Resource = next(iter(issue.get("details", {}).get("coding", ())), {})
    return str(coding.get("code", ""))


def _text(issue: Resource) -> str:
    return str(issue.get("details", {}).get("text", ""))
