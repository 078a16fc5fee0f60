"""The actors that a call of `$find` or `$prefetch` names, and their agendas."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_booking.operations.finding.find_query import SERVICE, Named, identifier_of, named_in
from creneau_booking.operations.references import id_of
from creneau_booking.storage.agendas.by_actor import agendas_of_actors
from creneau_booking.storage.logical import identified
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.search.request import Clause, ReferenceValue

Meant = list[tuple[Named, list[list[str]]]]
"""Each kind that is named, with the `Type/id` that each of its references means: an identifier may mean several"""


async def meant_by(connection: Connection, named: Sequence[Named]) -> Meant:
    """Resolves the references to literal ones."""
    wanted = [(n.kind_of(r), token) for n in named for r in n.references if (token := identifier_of(r))]
    logical = await identified(connection, wanted)
    found: Meant = []
    for one in named:
        references = []
        for r in one.references:
            kind, token = one.kind_of(r), identifier_of(r)
            ids = logical.get((kind, token), ()) if token else [id_of(r)]
            references.append([f"{kind}/{id_}" for id_ in ids])
        found.append((one, references))
    return found


async def of_those_named(connection: Connection, given: OperationInput) -> tuple[Clause, ...]:
    """Returns the conditions that a slot's agenda is a named actor's: AND between kinds, OR within one. Not for offers: a
    slot may meet them without its agenda (`operations.finding.services`)."""
    named = [one for one in named_in(given) if one.kind != SERVICE]
    conditions = []
    for _, references in await meant_by(connection, named):
        agendas = await agendas_of_actors(connection, [r for some in references for r in some])
        values = tuple(ReferenceValue((f"Schedule/{id_}",)) for id_ in agendas) or (ReferenceValue(()),)
        conditions.append(Clause(parameters_of("Slot")["schedule"], None, (values,)))
    return tuple(conditions)
