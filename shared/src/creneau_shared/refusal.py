"""The refusal of a rule: facts, without words, HTTP status or FHIRPath.

A service's rules raise refusals. Its catalogue of words turns each into a `CreneauError`; `FhirService.in_words` does
this where a request is answered.
"""

from __future__ import annotations

from dataclasses import fields


class Refusal(Exception):  # noqa: N818  named after the fact
    """A rule refuses. Derive a dataclass with `eq=False`, whose fields are the facts; equal facts are equal refusals.

    It is not frozen, since Python writes the traceback into a raised exception.
    """

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash(type(self))

    def __str__(self) -> str:
        return repr(self)

    def _facts(self) -> tuple[object, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]
