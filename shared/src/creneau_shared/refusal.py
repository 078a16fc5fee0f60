"""What a rule answers when it says no: facts, without words, HTTP status or FHIRPath.

A service's rules raise refusals; its catalogue of words says how each is told (`CreneauError`), and
`FhirService.in_words` puts the one in place of the other where a request is answered.
"""

from __future__ import annotations

from dataclasses import fields


class Refusal(Exception):  # noqa: N818  named after what is so
    """A rule says no. Derive a dataclass with `eq=False`, whose fields are the facts; equal facts are equal refusals.

    It is not frozen: Python writes the traceback into an exception on its way.
    """

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash(type(self))

    def __str__(self) -> str:
        return repr(self)

    def _facts(self) -> tuple[object, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]
