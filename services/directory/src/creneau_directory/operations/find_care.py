"""`PractitionerRole/$find-care`: people's search, from everyday words to professionals in their places, explained."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from creneau_directory.domain.care.criteria import Near, day_of
from creneau_directory.domain.care.plan import Step, Wanted, order_of, steps
from creneau_directory.domain.care.reading.facts import Intent, KnownNames
from creneau_directory.domain.care.reading.names import name_pieces
from creneau_directory.domain.care.reading.reader import reader
from creneau_directory.domain.care.situation import term_of
from creneau_directory.domain.care.vocabulary import FILTERS, vocabulary
from creneau_directory.operations.care_answer import outcomes, understood
from creneau_directory.storage import care
from creneau_directory.storage.care_search import Found, find
from creneau_directory.views import require_ror_headers
from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.datatypes import whole_number
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput, parameter_named
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.fhir.search.bundle import Entry, Link, outcome_entry, query_url, write_bundle
from creneau_shared.fhir.search.cursor import Cursor, query_digest
from creneau_shared.fhir.search.parse import CURSOR_PARAMETER
from creneau_shared.fhir.search.sql import RowPlace
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.fhir.storage.store import Resource, Stored
from creneau_shared.ids import new_id
from creneau_shared.security.access import Access
from creneau_shared.spelling import fold

COUNT_DEFAULT = 20
COUNT_MAX = 100
NEAR_KM = 30.0
"""radius around a point, unless a distance is given"""
NEAR_KM_MAX = 500.0
ENOUGH = 100
"""situations found in a smaller circle for which no larger one is searched"""
_DISTANCE = "http://hl7.org/fhir/StructureDefinition/location-distance"
_INCLUDED = (
    ("Practitioner", "practitioner"),
    ("Location", "location"),
    ("HealthcareService", "healthcareService"),
    ("Organization", "organization"),
)
_UNITS = {"km": 1.0, "m": 0.001}
_MODES = {
    "amb": "AMB", "ambulatory": "AMB", "cabinet": "AMB", "sur place": "AMB", "on site": "AMB",
    "vr": "VR", "video": "VR", "visio": "VR", "teleconsultation": "VR", "virtual": "VR",
    "hh": "HH", "home": "HH", "domicile": "HH", "a domicile": "HH",
}  # fmt: skip

DEFINITION = operation_definition(
    "find-care",
    "People's search",
    "Professionals in their places, found in everyday French and basic English: professions, specialities, complaints,"
    " acts, names of people and places, mixed in any order and however they are spelt. Match entries are"
    " PractitionerRoles with a score and, once a place is known, the distance (extension location-distance); what they"
    " refer to is included once. An entry with the mode outcome holds Parameters: what was understood, ignored, widened,"
    " facets with counts. Words of an emergency are answered first by an OperationOutcome that says whom to call (15,"
    " 112, 3114, 119, 3919); nothing is diagnosed.",
    [
        parameter("text", "string", "What somebody types: “dermato lyon 3”, “rage de dent”, “dr Payet”."),
        parameter("near", "string", "latitude|longitude|distance|km (or m): where somebody is."),
        parameter(
            "mode", "code", "AMB (on site), VR (by video), HH (at home); several by commas.", maximum="*"
        ),
        parameter("language", "code", "A language that is spoken there (BCP 47).", maximum="*"),
        parameter("sector", "code", "1, 2, 0 (TRE_R282; c1, c2, c3, nc too).", maximum="*"),
        parameter("gender", "code", "Of the professional: female, male."),
        parameter(
            "accessibility",
            "code",
            "wheelchair, hearing … as the places say it; disability, disability-rooms, disability-theatre: TRE_R338 16, 15, 17.",
            maximum="*",
        ),
        parameter("new-patient", "boolean", "Only who takes new patients."),
        parameter(
            "specialty",
            "string",
            "Codes (system|code, or code) of professions and specialities.",
            maximum="*",
        ),
        parameter("sort", "code", "relevance (default) or distance."),
        parameter("_count", "integer", f"Matches a page; {COUNT_DEFAULT} unless said, {COUNT_MAX} at most."),
        parameter("explain", "boolean", "Tell of each match how its score came about."),
        parameter("return", "Bundle", "A searchset.", use="out", minimum=1),
    ],
    affects_state=False,
    resources=["PractitionerRole"],
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The input of a call, checked."""

    text: str
    near: Near | None
    filters: dict[str, tuple[str, ...]]
    codes: tuple[str, ...]
    by_distance: bool
    count: int
    explain: bool
    pairs: tuple[tuple[str, str], ...]
    """the input as a query, for the links"""


class FindCareOperation:
    """`$find-care` over the index of situations."""

    def __init__(
        self, base_url: str, *, compared_max: int, text_characters_max: int, headers_required: bool = False
    ) -> None:
        """`headers_required`: whether callers need a token and the four headers of the national ROR."""
        self._headers_required = headers_required
        self._compared_max = compared_max
        self._text_characters_max = text_characters_max
        self._roles = GenericStore("PractitionerRole", base_url)

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle)

    async def handle(self, call: OperationCall) -> Answer:
        """Reads the text, asks the index, widens the question while nobody is found, and explains the answer."""
        request, service = call.request, call.service
        access = request.access("PractitionerRole", "s")
        if self._headers_required:
            require_ror_headers(request)
        asked = self._asked(OperationInput.of(call))
        url = f"{service.base_url}/PractitionerRole/$find-care"
        digest = query_digest("PractitionerRole/$find-care of a day", asked.pairs)
        day = day_of(service.clock.now())
        begin: tuple[int, int] | None = None
        cursor = OperationInput.of(call).first(CURSOR_PARAMETER)
        if cursor:
            day, at, offset = map(int, service.cursors.decode(str(cursor), digest).place.values)
            begin = at, offset
        async with service.connection() as connection:
            intent = await self.understand(connection, asked.text)
            wanted = Wanted(intent, asked.near, {**intent.filters, **asked.filters}, asked.codes)
            number, step, found = await self._find(connection, wanted, asked, begin, day)
            entries = await self._entries(connection, found, service, access)
        links = [Link("self", query_url(url, asked.pairs))]
        offset = begin[1] if begin else 0
        if found.hits and offset + len(found.hits) < found.total:
            place = RowPlace((day, number, offset + len(found.hits)))
            text = service.cursors.encode(Cursor(place), digest)
            links.append(Link("next", query_url(url, [*asked.pairs, (CURSOR_PARAMETER, text)])))
        told = understood(
            wanted, step, found, request.language, explain=asked.explain, sort_by_distance=asked.by_distance
        )
        first, last = outcomes(wanted, step, found, request.language)
        entries = [
            *([outcome_entry(dumps(first))] if first else []),
            *entries,
            Entry(f"urn:uuid:{new_id()}", dumps(told), {"mode": "outcome"}),
            *([outcome_entry(dumps(last))] if last else []),
        ]
        total = found.total if found.whole else None
        return Answer(200, write_bundle("searchset", entries, total=total, links=links))

    async def understand(self, connection: Connection, text: str) -> Intent:
        """Returns the meaning of a text; looks up first which of its pieces are names in the directory."""
        reading = reader()
        known = await care.known_names(connection, name_pieces(text))
        intent = reading.read(text, known)
        unknown = [word for word in intent.unknown if len(word) >= 4 and not word.isdigit()]
        if unknown and not intent.emergencies:
            alike = await care.alike_names(connection, unknown[:3])
            if alike.names:
                intent = reading.read(text, KnownNames({**known.names, **alike.names}))
        return intent

    async def _find(
        self, connection: Connection, wanted: Wanted, asked: Asked, begin: tuple[int, int] | None, day: int
    ) -> tuple[int, Step, Found]:
        """Returns the number of the first step that finds somebody, the step, and the situations found."""
        words = vocabulary()
        order = replace(order_of(wanted, words, by_distance=asked.by_distance), count=asked.count, day=day)
        plan = list(steps(wanted, words))
        if asked.text and not asked.codes and (wanted.intent.lost or wanted.intent.empty):
            return 0, plan[0], Found()
        if begin is not None:
            number, offset = begin
            step = plan[min(number, len(plan) - 1)]
            page = replace(order, offset=offset)
            found = await find(connection, step.criteria, page, compared_max=self._compared_max)
            return number, step, replace(found, whole=found.whole and not _is_ring(step))
        for number, step in enumerate(plan):
            found = await find(connection, step.criteria, order, compared_max=self._compared_max)
            if _is_ring(step) and found.total >= ENOUGH:
                return number, step, replace(found, whole=False)
            if not _is_ring(step) and found.total:
                return number, step, found
        return 0, plan[0], Found()

    async def _entries(
        self, connection: Connection, found: Found, service: FhirService, access: Access
    ) -> list[Entry]:
        """The matches in order, then once each resource that they refer to, the buildings of places, and the places of the
        offers where a match has none itself, as the caller may see them."""
        base_url = service.base_url
        stored = await self._roles.read_many(connection, [hit.role for hit in found.hits])
        entries: list[Entry] = []
        referred: dict[str, dict[str, None]] = {name: {} for name, _ in _INCLUDED}
        at_offers = False
        for hit in found.hits:
            role = stored.get(hit.role)
            if role is None or role.content is None:
                continue
            role = service.as_shown(access, role)
            assert role.content is not None
            search: dict[str, Any] = {"mode": "match", "score": round(hit.score, 4)}
            if hit.distance_km is not None:
                distance = {
                    "value": round(hit.distance_km, 3),
                    "unit": "km",
                    "system": "http://unitsofmeasure.org",
                    "code": "km",
                }
                search = {"extension": [{"url": _DISTANCE, "valueDistance": distance}], **search}
            entries.append(Entry(f"{base_url}/PractitionerRole/{hit.role}", role.content, search))
            shown = loads(role.content)
            for name, element in _INCLUDED:
                referred[name] |= dict.fromkeys(_ids(shown, element, name))
            at_offers |= "location" not in shown
        included = dict(await care.referred_by(connection, referred)) if entries else {}
        while beyond := _places_beyond(included, referred["Location"], at_offers=at_offers):
            included |= await care.referred_by(connection, {"Location": beyond})
            referred["Location"] |= beyond
        for name, _ in _INCLUDED:
            entries += [
                Entry(
                    f"{base_url}/{name}/{id_}",
                    service.as_shown(access, included[name, id_]).content,
                    {"mode": "include"},
                )
                for id_ in referred[name]
                if (name, id_) in included and included[name, id_].content is not None
            ]
        return entries

    # -- input -----------------------------------------------------------------------------------------------

    def _asked(self, given: OperationInput) -> Asked:
        text = str(given.first("text", "q") or "").strip()
        if len(text) > self._text_characters_max:
            raise BadRequest(
                f"Le texte cherché dépasse {self._text_characters_max} caractères.",
                f"The searched text is longer than {self._text_characters_max} characters.",
                code="too-long",
                expression=parameter_named("text"),
            )
        sort = str(given.first("sort", "_sort") or "relevance")
        if sort not in ("relevance", "distance"):
            raise _wrong("sort", sort, "relevance, distance")
        filters = {kind: values for kind in FILTERS if (values := _filter(given, kind))}
        near = _near(given)
        codes = tuple(_code(code) for text_ in given.codes("specialty", "role") for code in text_.split(","))
        count = _count(given)
        pairs = [("text", text)] if text else []
        pairs += [("near", f"{near.latitude}|{near.longitude}|{near.km:g}|km")] if near else []
        pairs += [(kind, ",".join(values)) for kind, values in filters.items()]
        pairs += [("specialty", code) for code in given.codes("specialty", "role")]
        pairs += [("sort", sort)] if sort != "relevance" else []
        pairs += [("_count", str(count))] if count != COUNT_DEFAULT else []
        explain = given.flag("explain")
        pairs += [("explain", "true")] if explain else []
        return Asked(text, near, filters, codes, sort == "distance", count, bool(explain), tuple(pairs))


def _is_ring(step: Step) -> bool:
    """Whether a step looks in the neighbourhood first, so that there may be more beyond what it finds."""
    return step.dropped == ("ring",)


def _places_beyond(
    included: Mapping[tuple[str, str], Stored], known: Collection[str], *, at_offers: bool
) -> dict[str, None]:
    """The Locations (ids) not known yet that the included ones are part of; with `at_offers` those of the included offers
    too."""
    elements = {"Location": "partOf"} | ({"HealthcareService": "location"} if at_offers else {})
    found = (
        id_
        for (kind, _), entry in included.items()
        if (element := elements.get(kind)) and entry.content and f'"{element}"'.encode() in entry.content
        for id_ in _ids(loads(entry.content), element, "Location")
    )
    return dict.fromkeys(id_ for id_ in found if id_ not in known)


def _ids(resource: Resource, element: str, kind: str) -> Iterator[str]:
    """The ids of this type that an element refers to."""
    value = resource.get(element, [])
    for reference in value if isinstance(value, list) else (value,):
        path, _, id_ = str(reference.get("reference", "")).split("/_history/")[0].rpartition("/")
        if path.rpartition("/")[2] == kind:
            yield id_


def _wrong(name: str, value: object, expected: str) -> BadRequest:
    return BadRequest(
        f"{name} : « {value} » n'est pas compris ; attendu : {expected}.",
        f"{name}: “{value}” is not understood; expected: {expected}.",
        code="value",
        expression=parameter_named(name),
    )


def _near(given: OperationInput) -> Near | None:
    text = given.first("near")
    if text is None or text == "":
        return None
    parts = str(text).split("|")
    try:
        latitude, longitude = float(parts[0]), float(parts[1])
        km = float(parts[2]) if len(parts) > 2 and parts[2] else NEAR_KM
        km *= _UNITS[parts[3] if len(parts) > 3 and parts[3] else "km"]
    except (ValueError, IndexError, KeyError):
        raise _wrong("near", text, "latitude|longitude|distance|km") from None
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180 and km > 0):
        raise _wrong("near", text, "latitude|longitude|distance|km")
    return Near(latitude, longitude, min(km, NEAR_KM_MAX))


def _filter(given: OperationInput, kind: str) -> tuple[str, ...]:
    values = _texts(given, kind)
    if kind == "mode":
        unknown = [value for value in values if fold(value) not in _MODES]
        if unknown:
            raise _wrong("mode", unknown[0], "AMB, VR, HH")
        return tuple(dict.fromkeys(_MODES[fold(value)] for value in values))
    if kind == "new-patient":
        return ("true",) if given.flag(kind) else ()
    if kind == "gender":
        unknown = [value for value in values if value not in ("female", "male")]
        if unknown:
            raise _wrong("gender", unknown[0], "female, male")
    if kind == "language":
        return tuple(value.partition("-")[0].lower() for value in values)
    if kind == "sector":
        return tuple(value.lower() for value in values)
    return tuple(values)


def _texts(given: OperationInput, name: str) -> Sequence[str]:
    """Codes given as texts or as Codings, without their system."""
    return [
        code.rpartition("|")[2].strip()
        for text in given.codes(name)
        for code in text.split(",")
        if code.strip()
    ]


def _code(text: str) -> str:
    """The term of the index for `https://…TRE_R38-…|SM15`, `R38:SM15` or `SM15`."""
    return term_of(*text.rpartition("|")[::2])


def _count(given: OperationInput) -> int:
    value = given.first("_count")
    if value is None or value == "":
        return COUNT_DEFAULT
    count = whole_number(value)
    if count is None:
        raise BadRequest(
            f"_count attend un nombre entier positif ; reçu « {value} ».",
            f"_count takes a positive whole number; got “{value}”.",
            code="value",
            expression=parameter_named("_count"),
        )
    return max(1, min(count, COUNT_MAX))
