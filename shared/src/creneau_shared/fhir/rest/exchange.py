"""One FHIR request and its answer, free of any web framework: a batch entry is the same thing as an HTTP request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.datatypes import instant_of, whole_number
from creneau_shared.fhir.json import loads_sent
from creneau_shared.fhir.outcome import Language
from creneau_shared.fhir.rest.negotiation import Preference, body_format
from creneau_shared.fhir.storage.store import Resource, Stored
from creneau_shared.fhir.xml import from_xml
from creneau_shared.limits.meter import Meter, uncounted
from creneau_shared.security.principal import Action, Principal
from creneau_shared.security.rights import Access, Rights


@dataclass
class FhirRequest:
    """One interaction that somebody asks for. `path` holds the segments below the base."""

    method: str
    path: tuple[str, ...]
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    """lower-case names"""
    body: bytes
    principal: Principal
    now: datetime
    base_url: str
    language: Language = "fr"
    correlation_id: str | None = None
    network: bytes | None = None
    """whose network asks, as a key that does not reveal it (`limits.callers`); None where it is not known, or nobody asks
    over HTTP"""
    parsed: Resource | None = None
    """the resource of a Bundle entry, already read"""
    raw_query: str = ""
    """the query of the address as it was sent; empty for an entry of a Bundle"""
    given_id: str | None = None
    """the id that a transaction gave to what this request creates"""
    meant_id: str | None = None
    """the id that references in the transaction use for what this conditional request designates or creates"""
    refused: FhirRequest | None = None
    """the entry because of which a whole transaction was refused"""
    sealed: bool = False
    """whether the address had sealed values, which have been opened"""
    rights: Rights | None = None
    """what the principal may do, once it is resolved (`FhirServer.handle`, before anything else)"""
    meter: Meter = field(default_factory=uncounted)
    """counts the answers of a Bundle as they are made"""

    @property
    def prefer(self) -> Preference:
        return Preference.parse(self.headers.get("prefer"))

    @property
    def query_is_private(self) -> bool:
        """Whether the search criteria did not come openly in an address, but in a body, an entry of a Bundle, or sealed."""
        return self.sealed or self.method == "POST" or not self.raw_query

    def access(self, resource_type: str, action: Action) -> Access:
        """The access that this request has; Unauthenticated or Forbidden when it has none."""
        if self.rights is None:
            raise RuntimeError("the rights of a request are resolved before it is carried out")
        return self.rights.access(resource_type, action)

    def access_if_any(self, resource_type: str, action: Action) -> Access | None:
        """The access that this request has; None when it has none."""
        found = self.rights.reach(resource_type, action) if self.rights is not None else None
        return (
            Access(self.rights, resource_type, action, found) if self.rights is not None and found else None
        )

    def parameter(self, name: str) -> str | None:
        """The last value of a query parameter."""
        return next((value for key, value in reversed(self.query) if key == name), None)

    def resource(self) -> Resource:
        """The resource in the body, read by its Content-Type."""
        if self.parsed is None:
            kind = body_format(self.headers.get("content-type"))
            if not self.body.strip():
                raise BadRequest(
                    "Le corps de la requête est vide ; une ressource y est attendue.",
                    "The request has no body; a resource is expected in it.",
                    code="structure",
                )
            self.parsed = loads_sent(self.body) if kind == "json" else from_xml(self.body)
        return self.parsed

    def instant_parameter(self, name: str) -> datetime | None:
        """A query parameter that is a FHIR instant (`_since`)."""
        value = self.parameter(name)
        if not value:
            return None
        try:
            moment = instant_of(value.replace(" ", "+"))
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise BadRequest(
                f"{name} attend un instant avec fuseau (2026-03-29T10:00:00Z) ; reçu « {value} ».",
                f"{name} takes an instant with an offset (2026-03-29T10:00:00Z); got “{value}”.",
                code="value",
                expression=name,
            )
        return moment


@dataclass
class Answer:
    """What an interaction answers: status, headers, and a resource in JSON, which is written in the format that the caller
    accepts; or, with a Content-Type of its own, what is no resource (a manifest, a file) and is sent as it is."""

    status: int = 200
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    stored: Stored | None = None
    """the version that was read or written, when the answer is about one"""

    @staticmethod
    def of(stored: Stored, status: int = 200, **headers: str) -> Answer:
        """The answer that carries one stored version, with ETag and Last-Modified."""
        return Answer(
            status,
            stored.content,
            {"ETag": stored.etag, "Last-Modified": http_date(stored.last_updated), **headers},
            stored,
        )

    @property
    def has_resource(self) -> bool:
        """Whether the content is a resource in JSON."""
        return bool(self.content) and "Content-Type" not in self.headers

    def id_of(self, resource_type: str) -> str | None:
        """The id of the resource of the type that its Location names."""
        return self.headers.get("Location", "").partition(f"/{resource_type}/")[2].partition("/")[0] or None


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(4096)
def http_date(moment: datetime) -> str:
    """RFC 9110 date, which every read has. Takes a quarter of the time of `email.utils`, and none when cached."""
    at = moment.astimezone(UTC)
    return (
        f"{_DAYS[at.weekday()]}, {at.day:02d} {_MONTHS[at.month - 1]} {at.year:04d}"
        f" {at.hour:02d}:{at.minute:02d}:{at.second:02d} GMT"
    )


def parse_http_date(text: str) -> datetime | None:
    """The moment that an HTTP date names; None when it is unreadable (the header is then ignored, RFC 9110)."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def json_object(value: Any) -> Any:
    """`value` when it is a JSON object, else an empty one: for reading loosely structured input."""
    return value if isinstance(value, dict) else {}


def asked_count(query: Sequence[tuple[str, str]], default: int, most: int) -> int:
    """`_count`, cut down to `most`; BadRequest for what is no whole number."""
    text = next((value for name, value in reversed(query) if name == "_count"), "")
    if not text:
        return default
    count = whole_number(text)
    if count is None:
        raise BadRequest(
            f"_count attend un nombre entier ; reçu « {text} ».",
            f"_count takes a whole number; got “{text}”.",
            code="value",
            expression="http._count",
        )
    return min(count, most)
