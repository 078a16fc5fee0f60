"""Visibility of a slot: to everybody, or to the practices of its agenda only (TRE_R314: PUBLIC, PRO, SNP, CPTS)."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_shared.database.conditions import any_of
from creneau_shared.fhir.search.generic import literal
from creneau_shared.fhir.search.sql import Arguments
from creneau_shared.security.rights import OPEN, OWNER

SLOT_TYPE_SYSTEM = "https://mos.esante.gouv.fr/NOS/TRE_R314-TypeCreneau/FHIR/TRE-R314-TypeCreneau"
VISIBILITY_TERM = f"_security={SLOT_TYPE_SYSTEM}|"
"""prefix of the search term of a slot's visibility (meta.security)"""


def is_public(kind: str) -> str:
    """Condition: slots of the kind (alias) are open to everybody, because they say so or because they say nothing."""
    public, any_ = literal(f"{VISIBILITY_TERM}PUBLIC"), literal(VISIBILITY_TERM)
    return f"({kind}.terms @> ARRAY[{public}] OR NOT {kind}.terms @> ARRAY[{any_}])"


def bears(terms: Sequence[str], kind: str, arguments: Arguments) -> str:
    """Condition: slots of the kind (alias) bear one of the internal terms: open to all, or of these practices' agendas."""
    ways = [is_public(kind)] if OPEN in terms else []
    owners = [term for term in terms if term.startswith(OWNER)]
    if owners:
        ours = f"SELECT agenda.key FROM schedule AS agenda WHERE agenda.terms && {arguments.add(owners, 'text[]')}"
        ways.append(f"{kind}.schedule_key IN ({ours})")
    return any_of(ways)
