"""Series in `$hold`, `$book` and `$reschedule`: reading what the call sends, and writing the answer.

A series is several appointments in one call (the parameter repeated, or a Bundle), several proposals of `$find`, or one
appointment with R5's recurrenceTemplate, from which the others follow.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime

from creneau_booking.domain.series import Scope
from creneau_booking.handlers.series import BY_TEMPLATE, Series, Taken, Wanted
from creneau_booking.operations.booking.desk import Session
from creneau_booking.operations.booking.subject import (
    REFERENCE_NAMES,
    RESOURCE_NAMES,
    Subject,
    is_proposal,
)
from creneau_booking.operations.references import id_of
from creneau_booking.storage.mapping.series import (
    read_scope,
    template_of,
    without_series,
)
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.rest.exchange import Answer, http_date, json_object
from creneau_shared.fhir.rest.parameters import OperationInput, parameter_named
from creneau_shared.fhir.search.bundle import Entry, Link, write_bundle
from creneau_shared.fhir.storage.store import Resource, Stored

Prepare = Callable[[Subject], Awaitable[Resource]]
"""Turns a subject into the resource that its operation takes"""


def sent_series(given: OperationInput) -> list[tuple[Subject, str]] | None:
    """Returns the appointments of the series that a call sends, each with its place in the input; None if it sends none, or
    one that is stored (`subject_of`)."""
    if any(not is_proposal(id_of(reference)) for reference in given.references(*REFERENCE_NAMES)):
        return None
    sent = list(_sent(given))
    if len(sent) == 1 and sent[0][0].resource is not None and template_of(sent[0][0].resource) is not None:
        return [(sent[0][0], BY_TEMPLATE)]
    if any(_is_bundle(value) for value in given.all(*RESOURCE_NAMES)):
        if not sent:
            raise BadRequest(
                "Ce Bundle ne contient aucun rendez-vous.",
                "This Bundle holds no appointment.",
                code="required",
                expression="Bundle.entry",
            )
        return sent
    return sent if len(sent) > 1 else None


def _sent(given: OperationInput) -> Iterator[tuple[Subject, str]]:
    for name in RESOURCE_NAMES:
        for index, value in enumerate(given.all(name)):
            where = f"{parameter_named(name)}[{index}].resource"
            if _is_bundle(value):
                for number, entry in enumerate(value.get("entry", ())):
                    resource = json_object(json_object(entry).get("resource"))
                    yield Subject(None, _appointment(resource), False), f"Bundle.entry[{number}].resource"
            elif isinstance(value, dict):
                yield Subject(None, value, False), where
    for name in REFERENCE_NAMES:
        proposals = [id_of(reference) for reference in given.references(name)]
        for index, id_ in enumerate(proposals):
            yield Subject(id_, None, False), f"{parameter_named(name)}[{index}]"


def _is_bundle(value: object) -> bool:
    return isinstance(value, dict) and value.get("resourceType") == "Bundle"


def _appointment(resource: Resource) -> Resource:
    if resource.get("resourceType") != "Appointment":
        raise BadRequest(
            "Une série est un Bundle de rendez-vous (Appointment), et de rien d'autre.",
            "A series is a Bundle of Appointments, and of nothing else.",
            code="structure",
            expression="Bundle.entry",
        )
    return resource


async def take_series(
    session: Session,
    series: Series,
    sent: Sequence[tuple[Subject, str]],
    prepare: Prepare,
    *,
    hold: bool,
    replaces: str | None = None,
    first_id: str | None = None,
) -> Answer:
    """Books the series that was sent, or holds it if `hold`, and answers all of it."""
    wanted, template = [], None
    for subject, where in sent:
        if where == BY_TEMPLATE and subject.resource is not None:
            template = template_of(subject.resource)
            subject = Subject(None, without_series(subject.resource), subject.wants_bundle)
        resource = await prepare(subject)
        session.require_own(resource)
        wanted.append(Wanted(resource, where, itself=where.endswith("resource")))
    if template is not None:
        wanted = await series.expand(session.connection, session.context, wanted[0], template)
    taken = await series.take(
        session.connection,
        session.context,
        wanted,
        template,
        hold=hold,
        replaces=replaces,
        first_id=first_id,
    )
    return await answer_with_series(session, taken, created=True)


def begun_series(
    session: Session, asked: Stored, stored: Stored, until: datetime | None = None
) -> Taken | None:
    """Returns the series that the stored request `asked` has become, of which `stored` is the first; None if it has become
    none. `until`: the end of its hold."""
    facts = session.desk.repository.stored_facts
    if facts(asked).occurrence is not None or facts(stored).occurrence is None:
        return None
    return Taken((stored, *session.context.effects.besides), until)


async def answer_with_series(session: Session, taken: Taken, *, created: bool) -> Answer:
    """Returns a Bundle of the series in the order of time: 201 if it is `created` with its first, else 200 (of one that is
    changed, or was asked for by a stored request); 202 while the practice has still to agree."""
    service = session.call.service
    for stored in taken.stored:
        step = "C" if created and stored.version == 1 else "U"
        await service.audit(session.connection, session.call.request, step, stored)
    entries = [
        Entry(f"{service.base_url}/Appointment/{seen.id}", seen.content or b"", {"mode": "match"})
        for seen in (service.as_shown(session.access, stored) for stored in taken.stored)
    ]
    links = [Link("self", f"{service.base_url}/{'/'.join(session.call.request.path)}")]
    headers = {"Location": service.location(taken.stored[0])}
    facts = session.desk.repository.stored_facts
    undecided = [facts(s).held_until for s in taken.stored if s.id in session.context.effects.undecided]
    ends = [until for until in (taken.until, *undecided) if until is not None]
    if ends:
        headers["Expires"] = http_date(min(ends))
    content = write_bundle("searchset", entries, total=len(entries), links=links)
    is_new = created and taken.stored[0].version == 1
    return Answer(202 if undecided else 201 if is_new else 200, content, headers)


def scope_in(given: OperationInput) -> Scope | None:
    """Returns which part of its series a call is about; None if it does not say. Raises ScopeUnfit for an unknown scope."""
    said = given.first("scope")
    if isinstance(said, dict):
        said = next(iter(given.codes("scope")), "")
    return None if said is None else read_scope(said)
