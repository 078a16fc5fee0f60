"""Refusals of the FHIR base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CHANGED_MEANWHILE = 412
"""status of a refusal: the resource has changed since it was read"""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One OperationOutcome: its status, the code of its first issue, a sentence for people, and what it is about."""

    status: int
    code: str
    """`details.coding.code` of the first error, such as `slot-taken`; else the issue's code"""
    text: str
    """in the language that was asked for; may be shown as it is"""
    diagnostics: str = ""
    """for programs: which records it is about"""
    expressions: tuple[str, ...] = ()


class RefusedError(Exception):
    """The FHIR base answered, and the answer is no."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.status} {refusal.code}")
        self.refusal = refusal


def is_about_who_asks(error: Exception) -> bool:
    """Whether an error concerns this caller alone: others may be answered."""
    return isinstance(error, RefusedError) and error.refusal.status == 429


class UnreachableError(Exception):
    """The FHIR base did not answer in time, or not with FHIR: the way to it is broken, or a process behind it."""


def refusal_of(status: int, body: Mapping[str, Any]) -> Refusal:
    """Read an OperationOutcome; one that says nothing is a refusal without words."""
    issues = body.get("issue") or [{}]
    first = next((issue for issue in issues if issue.get("severity") in ("error", "fatal")), issues[0])
    details = first.get("details") or {}
    codings = details.get("coding") or [{}]
    return Refusal(
        status,
        codings[0].get("code") or first.get("code") or "unknown",
        details.get("text") or first.get("diagnostics") or "",
        first.get("diagnostics") or "",
        tuple(expression for issue in issues for expression in issue.get("expression", ())),
    )
