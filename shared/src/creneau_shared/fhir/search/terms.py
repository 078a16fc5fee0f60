"""The spelling of a term, the same for the code that writes it (`index`) and the code that looks for it (`sql`)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from creneau_shared.ins import INS_SYSTEMS, plain_ins
from creneau_shared.national_numbers import spellings

_TERM_CHARACTERS_MAX = 500


def escape(part: str) -> str:
    r"""A system, code or value with its own bars escaped, so that `sys|code` splits one way only."""
    return part.replace("\\", "\\\\").replace("|", "\\|") if "|" in part or "\\" in part else part


def token_term(parameter: str, system: str | None, code: str | None) -> str:
    """The term of `code` (any system), `system|code`, `|code` (system "") or `system|` (code None)."""
    if system is None:
        return f"{parameter}={escape(code or '')}"
    return f"{parameter}={escape(system)}|{escape(code or '')}"


def identifier_key(system: str | None, value: str) -> str:
    """The value of an identifier as it is kept: all spellings of an INS become one."""
    return plain_ins(value) if system in INS_SYSTEMS else value


def identifier_terms(system: str | None, value: str, parameter: str = "identifier") -> list[str]:
    """The terms of which whoever has this identifier bears one, that of the identifier as it is given first: a national
    number is the same in each of its spellings. A system of None is any, "" is none. Without a value there are none:
    `system|` is a term of everybody whom the system numbers."""
    if not value:
        return []
    spelled = spellings(system, identifier_key(system, value)) if system else [(system, value)]
    return [bounded(token_term(parameter, *one)) for one in spelled]


def bounded(term: str) -> str:
    """`term`, or a digest in place of its value when it is longer than a GIN index can hold."""
    if len(term) <= _TERM_CHARACTERS_MAX:
        return term
    name, _, value = term.partition("=")
    return f"{name}=sha256:{hashlib.sha256(value.encode()).hexdigest()}"


def after(beginning: str, terms: Iterable[str]) -> list[str]:
    """What stands after `beginning` in the terms that begin so, in their order: of `patient=` the references of patients,
    of `slot=Slot/` the ids of slots."""
    return [term.removeprefix(beginning) for term in terms if term.startswith(beginning)]


def relative_reference(literal: str, base_url: str) -> str:
    """`literal` without the server's own base: `https://…/fhir/Slot/1` → `Slot/1`."""
    if base_url and literal.startswith(base_url) and literal[len(base_url) : len(base_url) + 1] == "/":
        return literal[len(base_url) + 1 :]
    return literal
