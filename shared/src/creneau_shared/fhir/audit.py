"""Records every access to personal data: one narrow row for each interaction, written before the answer is sent.

A row says who asked, in what role, for which practices, on whose behalf and why. It has the request without its values,
the Patients whose data were returned (all, as internal terms) and the resources. It never has their content. A row is
served as a FHIR AuditEvent (`fhir.storage.audit_events`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from sqlalchemy import ARRAY, Column, DateTime, Index, Integer, MetaData, Table, Text, func, text
from sqlalchemy.dialects.postgresql import UUID

from creneau_shared.database.closing import ClosingInsert
from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.search.registry import REGISTRY, parameters_of
from creneau_shared.fhir.search.sealing import READABLE
from creneau_shared.ids import new_uuid
from creneau_shared.logging import redact_text
from creneau_shared.security.principal import Principal
from creneau_shared.security.rights import OWNER, Rights
from creneau_shared.type_table import RECORDED

COLUMNS: Mapping[str, str] = {
    "id": "uuid",
    "recorded": "timestamptz",
    "action": "text",
    "interaction": "text",
    "outcome": "text",
    "purpose": "text",
    "agent": "text",
    "issuer": "text",
    "client": "text",
    "role": "text",
    "who": "text",
    "represented": "text",
    "mandate": "text",
    "resource_type": "text",
    "resource_id": "text",
    "version": "integer",
    "asked": "text",
    "returned": "integer",
    "correlation_id": "text",
    "terms": "text",
}
"""Column → SQL type. `terms` is sent as one text: the rows of an array of arrays would need one length."""
SEPARATOR = "\x1f"
"""Separates the terms of a row when they are sent; occurs in no id, subject or reference."""

PURPOSES = frozenset(
    {
        "CAREMGT", "CLINTRCH", "COVERAGE", "ETREAT", "FAMRQT", "HLEGAL", "HOPERAT", "HPAYMT", "HSYSADMIN", "PATADMIN",
        "PATRQT", "PUBHLTH", "PWATRNY", "SUPNWK", "TREAT",
    }
)  # fmt: skip
"""Codes of v3-PurposeOfUse that a caller may state."""
PURPOSE_HEADER = "x-purpose-of-use"
DEFAULT_PURPOSES = {
    "patient": "PATRQT",
    "counsellor": "PATRQT",
    "practitioner": "TREAT",
    "secretary": "PATADMIN",
    "software": "PATADMIN",
    "regulator": "ETREAT",
}
"""Role → purpose when the request states none; the other roles administer the system (HSYSADMIN)."""
SUCCESS, REFUSED = "0", "4"
"""AuditEvent.outcome: success, and refused (minor failure)."""

ENTITIES_MAX = 100
"""most resources that one row names; all Patients are named"""
PATIENT = "patient=Patient/"
ENTITY = "entity="
AGENT = "agent="
"""Begins the terms of the person and of the practices. The internal term `OWNER` limits practices to their own rows."""
ALTID = "altid="
_PATIENT_REFERENCE = re.compile(rb'"reference"\s*:\s*"(?:https?://[^"]*/)?Patient/([A-Za-z0-9\-.]{1,64})[/"]')
_PATIENT_ITSELF = re.compile(rb'"resourceType"\s*:\s*"Patient"\s*,\s*"id"\s*:\s*"([A-Za-z0-9\-.]{1,64})"')
_IDS_AND_DATES = re.compile(
    r"^(?:(?:[A-Z][A-Za-z]{2,40}/)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?:[a-z]{2})?\d{4}-\d{2}[0-9T:.Z+-]{0,30})\Z"
)
"""Values without free text: a UUID, a reference with a UUID, a date."""
_ASKED_MAX = 1_000


class TracedRequest(Protocol):
    """The parts of a request that the trail uses (`rest.exchange.FhirRequest`)."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> tuple[str, ...]: ...

    @property
    def query(self) -> Sequence[tuple[str, str]]: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def principal(self) -> Principal: ...

    @property
    def rights(self) -> Rights | None: ...

    @property
    def now(self) -> datetime: ...

    @property
    def correlation_id(self) -> str | None: ...


class Seen(Protocol):
    """A version of a resource that was read or written: a stored one, or a row of a search."""

    @property
    def id(self) -> str: ...

    @property
    def version(self) -> int: ...

    @property
    def content(self) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Touched:
    """A resource that an interaction read, returned or wrote. Its Patients are found in `content`."""

    type: str
    id: str
    content: bytes | None = None

    @property
    def patients(self) -> set[str]:
        """The ids of the Patients that the resource is or refers to."""
        if self.type == "Patient":
            return {self.id}
        return patients_in(self.content or b"")


@dataclass(frozen=True, slots=True)
class Event:
    """The effect of one interaction. `action` is C, R, U, D or E, as in AuditEvent.action."""

    action: str
    resource_type: str
    resource_id: str | None = None
    version: int | None = None
    touched: tuple[Touched, ...] = ()
    patients: frozenset[str] = frozenset()
    """further Patients (ids) concerned"""
    outcome: str = SUCCESS
    operates: bool = False
    """an operator's act on the deployment, always recorded"""


def patients_in(content: bytes) -> set[str]:
    """The ids of the Patients to whom a resource refers."""
    return {match.decode() for match in _PATIENT_REFERENCE.findall(content)}


def patients_answered(content: bytes) -> set[str]:
    """The ids of the Patients that an answer (such as a Bundle) contains or refers to."""
    return patients_in(content) | {match.decode() for match in _PATIENT_ITSELF.findall(content)}


AUDIT_INSERT = ClosingInsert(
    "audit",
    tuple(COLUMNS),
    tuple(COLUMNS.values()),
    {"terms": f"string_to_array(terms, '{SEPARATOR}')"},
)


def audit_table(metadata: MetaData) -> Table:
    """Declares `audit` in `metadata`: who did what to whose data, and when; partitioned by month of `recorded`.

    Three indexes in each partition: the primary key `id`, the time, and the terms, which find rows by Patient, resource,
    agent or practice.
    """
    return Table(
        "audit",
        metadata,
        Column("id", UUID, nullable=False),
        Column("recorded", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("action", Text, nullable=False),
        Column("interaction", Text, nullable=False),
        Column("outcome", Text, nullable=False, server_default=text("'0'")),
        Column("purpose", Text, nullable=True),
        Column("agent", Text, nullable=False),
        Column("issuer", Text, nullable=True),
        Column("client", Text, nullable=True),
        Column("role", Text, nullable=False),
        Column("who", Text, nullable=True),
        Column("represented", Text, nullable=True),
        Column("mandate", Text, nullable=True),
        Column("resource_type", Text, nullable=False),
        Column("resource_id", Text(collation="C"), nullable=True),
        Column("version", Integer, nullable=True),
        Column("asked", Text, nullable=True),
        Column("returned", Integer, nullable=True),
        Column("correlation_id", Text, nullable=True),
        Column("terms", ARRAY(Text(collation="C")), nullable=False, server_default=text("'{}'")),
        Index("ix_audit_recorded", "recorded"),
        Index(
            "ix_audit_terms",
            "terms",
            postgresql_using="gin",
            postgresql_with={"gin_pending_list_limit": 1024},
        ),
        postgresql_partition_by="RANGE (recorded)",
    )


class Auditor:
    """Records accesses to resources about persons, and acts of operators. Access to public types is not recorded."""

    def __init__(self, types: Iterable[str]) -> None:
        """`types`: the resource types of the service, which have tables of their own."""
        self._types = RECORDED & frozenset(types)

    async def record(self, connection: Connection, request: TracedRequest, event: Event) -> None:
        """Writes the rows of one interaction: when the transaction of `connection` closes, at once outside one."""
        types = {event.resource_type, *(touched.type for touched in event.touched)}
        if not (types & RECORDED or event.patients or event.operates):
            return
        parts = await self._parts(connection, request, event)
        await AUDIT_INSERT.run(connection, [_row(request, part) for part in parts])

    async def _parts(self, connection: Connection, request: TracedRequest, event: Event) -> list[_Part]:
        """Splits the interaction by the organisations that may see it in the trail.

        A caller who speaks for one organisation acted for that one. One who speaks for several acted for the owners of the
        data, so that no other organisation learns of it. They also acted for the one organisation that their token names
        or, if it names none, for the only one of their own.
        """
        if request.rights is None:
            return [_Part(event, ())]
        spoken = request.rights.organizations
        if len(spoken) <= 1:
            return [_Part(event, tuple(spoken))]
        named = request.principal.organizations or request.rights.own_practices
        own = spoken & named if len(named) == 1 else frozenset[str]()
        owned: dict[_Key, frozenset[str]] = {}
        if event.outcome == SUCCESS:
            owned = {
                key: whose & spoken for key, whose in (await self._owners(connection, request, event)).items()
            }
        owners = frozenset().union(*owned.values())
        if len(owners) <= 1:
            return [_Part(event, tuple(sorted(own | owners)) or None)]
        return _parted(event, owned, own)

    async def _owners(
        self, connection: Connection, request: TracedRequest, event: Event
    ) -> dict[_Key, frozenset[str]]:
        """Touched resource → its owners (Organization ids), in the versions that the interaction was about."""
        touched: dict[str, set[str]] = {}
        for type_, id_ in _keys(event):
            if type_ in self._types:
                touched.setdefault(type_, set()).add(id_)
        if not touched:
            touched["Patient"] = set(event.patients)
        found: dict[_Key, frozenset[str]] = {key: frozenset() for key in _keys(event)}
        versions = _versions_of(request, event)
        for name in sorted(touched.keys() & self._types):
            rows = await connection.fetch(
                _OWNERS.format(table=table_name(name)), name, sorted(touched[name]), *(versions or (0, 0))
            )
            found |= {(name, row["id"]): frozenset(row["owners"]) for row in rows}
        return found


_Key = tuple[str, str]
"""A resource: its type and id."""


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of an interaction that one row holds, and the organisations (ids) that see the row. None: the caller speaks
    for several, and it is not known for which of them they acted."""

    event: Event
    practices: tuple[str, ...] | None
    is_whole: bool = True
    """whether the row has the whole interaction; else it has the names of the query parameters without their values"""


def _keys(event: Event) -> list[_Key]:
    """The touched resources, each once, the requested one first; the Patients when there is no other resource."""
    instance = [(event.resource_type, event.resource_id)] if event.resource_id is not None else []
    found = dict.fromkeys([*instance, *((one.type, one.id) for one in event.touched)])
    return list(found or dict.fromkeys(("Patient", id_) for id_ in sorted(event.patients)))


def _parted(event: Event, owned: Mapping[_Key, frozenset[str]], own: frozenset[str]) -> list[_Part]:
    """Splits an interaction with the data of several organisations: each sees the part that it owns (`owned`). The
    organisation for which the caller acted (`own`) sees all parts; it alone sees the resources that nobody owns."""
    parts = []
    for owner in sorted(frozenset().union(*owned.values())):
        theirs = {key for key, whose in owned.items() if owner in whose}
        parts.append(_Part(_part_of(event, theirs), tuple(sorted({owner, *own})), is_whole=False))
    rest = {key for key, whose in owned.items() if not whose}
    if rest:
        parts.append(_Part(_part_of(event, rest), tuple(sorted(own)) or None, is_whole=False))
    return parts


def _part_of(event: Event, keys: Collection[_Key]) -> Event:
    """The interaction reduced to these resources."""
    touched = tuple(one for one in event.touched if (one.type, one.id) in keys)
    if event.resource_id is not None and (event.resource_type, event.resource_id) in keys:
        return replace(event, touched=touched)
    patients = frozenset(id_ for id_ in event.patients if ("Patient", id_) in keys)
    return replace(event, resource_id=None, version=None, touched=touched, patients=patients)


_OWNERS = f"""
SELECT id, array_agg(DISTINCT substr(term, {len(OWNER) + 1})) AS owners FROM (
  SELECT id, terms FROM {{table}} WHERE id = ANY($2::text[]) AND ($4::integer = 0 OR version BETWEEN $3 AND $4)
  UNION ALL SELECT id, compartment FROM resource_history
  WHERE resource_type = $1 AND id = ANY($2::text[]) AND version BETWEEN $3::integer AND $4
) AS versions (id, terms), unnest(terms) AS term WHERE starts_with(term, '{OWNER}') GROUP BY id
"""
"""The owners of these resources ($1: type, $2: ids): of the present versions if $4 is 0, else of the versions from $3
to $4."""
_LAST = 2**31 - 1


def _versions_of(request: TracedRequest, event: Event) -> tuple[int, int] | None:
    """The first and the last version that an interaction was about; None: the present one."""
    if "_history" in request.path:
        return (0, _LAST) if event.version is None else (event.version, event.version)
    if event.action in ("U", "D") and event.version is not None:
        return event.version - 1, event.version
    return None


def purpose_of(request: TracedRequest, role: str) -> str:
    """The purpose that the caller states, else the default of the role."""
    return request.headers.get(PURPOSE_HEADER) or DEFAULT_PURPOSES.get(role, "HSYSADMIN")


def check_purpose(request: TracedRequest) -> None:
    """Raises BadRequest if `X-Purpose-Of-Use` is none of PURPOSES."""
    said = request.headers.get(PURPOSE_HEADER)
    if said is not None and said not in PURPOSES:
        known = ", ".join(sorted(PURPOSES))
        raise BadRequest(
            f"X-Purpose-Of-Use dit pourquoi vous demandez, par un code de v3-PurposeOfUse : {known}.",
            f"X-Purpose-Of-Use says why you ask, by a code of v3-PurposeOfUse: {known}.",
            code="value",
            expression="http.X-Purpose-Of-Use",
        )


@dataclass(frozen=True, slots=True)
class _Agent:
    """The caller, as far as known: the person, the Patient on whose behalf they act, the practices."""

    who: str | None
    represented: str | None
    organizations: tuple[str, ...]

    @staticmethod
    def of(
        request: TracedRequest, patients: set[str], practices: tuple[str, ...] | None, *, begins: bool
    ) -> _Agent:
        """`patients`: whose data were touched; `practices`: for whom the caller acted, None if not known; `begins`: the
        interaction is one by which somebody may begin to act for a person. A patient who touches the data of one other
        person whom they represent acts on that person's behalf; whoever shares a visit with them does not."""
        principal, rights = request.principal, request.rights
        oneself = sorted(rights.oneself) if rights is not None else []
        theirs = patients if rights is None or begins else patients & rights.people.keys()
        others = sorted(theirs - set(oneself)) if oneself else []
        for_whom = principal.acting_for or (
            others[0] if len(others) == 1 and principal.role == "patient" else None
        )
        who = f"Practitioner/{principal.practitioner}" if principal.practitioner else None
        if who is None and len(oneself) == 1:
            who = f"Patient/{oneself[0]}"
        if practices is None:
            practices = tuple(sorted(rights.organizations)) if rights is not None else ()
        return _Agent(who, f"Patient/{for_whom}" if for_whom else None, practices)


def _row(request: TracedRequest, part: _Part) -> tuple[object, ...]:
    principal, event, practices = request.principal, part.event, part.practices
    interaction = interaction_of(request, event)
    resource_type = event.resource_type or next((touched.type for touched in event.touched), "Bundle")
    instance = f"{resource_type}/{event.resource_id}" if event.resource_id is not None else None
    entities = dict.fromkeys(f"{touched.type}/{touched.id}" for touched in event.touched)
    others = [reference for reference in entities if reference != instance]
    patients = set(event.patients).union(*(touched.patients for touched in event.touched))
    begins = event.outcome == SUCCESS and resource_type in _OF_PERSONS
    agent = _Agent.of(request, patients, practices, begins=begins)
    terms = [
        f"{ALTID}{principal.subject}",
        # No agent term for a patient: the terms of their own data find the row already, and a term costs index space.
        *([f"{AGENT}{agent.who}"] if agent.who and not agent.who.startswith("Patient/") else ()),
        *(f"{AGENT}Organization/{id_}" for id_ in agent.organizations),
        # No owner term for a refused access: the caller's practices must not learn whether the resource exists.
        *(f"{OWNER}{id_}" for id_ in ((practices or ()) if event.outcome == SUCCESS else ())),
        *([f"{ENTITY}{instance}"] if instance else ()),
        *(f"{ENTITY}{reference}" for reference in others[:ENTITIES_MAX]),
        *(f"{PATIENT}{id_}" for id_ in sorted(patients)),
    ]
    return (
        new_uuid(),
        request.now,
        event.action,
        interaction,
        event.outcome,
        purpose_of(request, principal.role),
        principal.subject,
        principal.issuer,
        principal.client or None,
        principal.role,
        agent.who,
        agent.represented,
        principal.mandate if principal.acting_for else None,
        resource_type,
        event.resource_id,
        event.version,
        None if interaction in _SAYS_ALL else asked_of(request, part),
        len(entities) if instance is None else None,
        request.correlation_id,
        SEPARATOR.join(terms),
    )


_OF_PERSONS = frozenset({"Patient", "RelatedPerson"})
"""Types by which somebody begins to act for a person: rights that were known before do not have that person yet"""
_SAYS_ALL = frozenset({"create", "read", "vread", "update", "patch", "delete"})
"""Interactions for which resource and action say everything, so that the address is not kept."""


def interaction_of(request: TracedRequest, event: Event) -> str:
    """The code of http://hl7.org/fhir/restful-interaction."""
    path, method = request.path, request.method
    if any(part.startswith("$") for part in path):
        return "operation"
    if path[:1] == ("_async",):
        return "read"
    if "_history" in path:
        return {1: "history-system", 2: "history-type", 3: "history-instance"}.get(len(path), "vread")
    if event.action == "C":
        return "create"
    if event.action in ("U", "D"):
        return {"PATCH": "patch", "DELETE": "delete"}.get(method, "update")
    if not path or path == ("_search",):
        return "search-system"
    if event.resource_id is not None:
        return {"PUT": "update", "PATCH": "patch", "DELETE": "delete", "POST": "create"}.get(method, "read")
    return "search-type"


def asked_of(request: TracedRequest, part: _Part) -> str:
    """The request's method and address; of the query values only ids, codes and dates are kept, and none that identifies a
    person by itself. In a row of a part, everything that may name the other parts is removed too."""
    known = parameters_of(request.path[0]) if request.path and request.path[0] in REGISTRY else {}
    path = list(request.path)
    if not part.is_whole and part.event.resource_id is None and known and len(path) > 1:
        path[1] = path[1] if path[1].startswith(("$", "_")) else "…"
    query = "&".join(
        f"{_name(name, known)}={_said(name, value) if part.is_whole else '…'}"
        for name, value in request.query
    )
    address = f"{request.method} {'/'.join(path)}"
    return f"{address}?{query}"[:_ASKED_MAX] if query else address


def _name(name: str, known: Collection[str]) -> str:
    """The name of a known parameter; `…` for an unknown one, whose name may be any text."""
    return name if name.startswith("_") or re.split("[:.]", name)[0] in known else "…"


def _said(name: str, value: str) -> str:
    if (
        name != "_cursor"
        and (name in READABLE or _IDS_AND_DATES.match(value))
        and redact_text(value) == value
    ):
        return value
    return "…"
