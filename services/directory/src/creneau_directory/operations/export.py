"""`$export` of the directory (FHIR Bulk Data, ROR): asynchronous, a manifest, files of NDJSON.

`Prefer: respond-async` is accepted and not needed. An `_outputFormat` of plain FHIR JSON gives Bundles, as the ROR's own
server does. `includeAssociatedData=_myCompleteExtract`, the ROR's word, adds to the requested types all of its graph: an
offer's organisation, place and roles, whatever `_type` names. Each file has what its reader may see.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote

from creneau_directory.storage.exports import (
    Wanted,
    contents_of,
    deleted_since,
    longest_under_way,
    no_longer_shown,
    parts_of,
)
from creneau_directory.storage.tables import TYPES
from creneau_directory.views import OFFERS, ROR_TYPES, OpenOffers, require_ror_headers, shown, viewer_of
from creneau_shared.clock import PARIS
from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest, Unauthenticated
from creneau_shared.fhir.datatypes import parse_interval
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.rest.searching import KNOWN_TYPES
from creneau_shared.fhir.search.bundle import Entry, write_bundle
from creneau_shared.fhir.search.generic import GenericTable
from creneau_shared.fhir.search.parse import parse_search
from creneau_shared.fhir.search.sql import Catalog
from creneau_shared.fhir.storage.generic import instant

NDJSON: Final = "application/fhir+ndjson"
GROWN: Final = 2
"""a file may have so many times `file_resources` since its manifest: deleted resources may be there again"""
FILTERS_CHARACTERS_MAX: Final = 8_000
"""of the queries on one type, as the address of each of its files says them (RFC 9110 §4.1: servers take addresses of so many)"""
_FORMATS: Final = {
    "": "ndjson",
    NDJSON: "ndjson",
    "application/ndjson": "ndjson",
    "ndjson": "ndjson",
    "application/fhir+json": "json",
    "application/json": "json",
    "json": "json",
}
_INPUTS: Final = (
    ("_outputFormat", "string", "1"),
    ("_since", "instant", "1"),
    ("_type", "string", "*"),
    ("_typeFilter", "string", "*"),
    ("includeAssociatedData", "string", "*"),
)
WHOLE_GRAPH: Final = "_myCompleteExtract"
"""the one value of `includeAssociatedData`: all types of the ROR's graph"""
_NEXT_FILTER: Final = re.compile(r",\s*(?=[A-Z][A-Za-z]+(?:\?|%3[Ff]))")
"""the comma before another query of a `_typeFilter`; any other comma is part of a query (`specialty=SM01,SM02`)"""
_KNOWN: Final = frozenset({*(name for name, _, _ in _INPUTS), "_format", "_pretty"})
_DOCUMENTATION: Final = (
    "The directory as files. Answered by 400 for what cannot be given, else by 202 and Content-Location; there, once it"
    " is done, by a manifest: for each type the addresses of its files (NDJSON), and of the entries that were deleted since"
    " `_since`, or are not shown to the caller any more. DELETE there cancels. includeAssociatedData=_myCompleteExtract adds"
    f" to `_type` what offers lead to ({', '.join(ROR_TYPES)}), each whole or by its own `_typeFilter`."
)


def definition(
    code: str, documentation: str, *, of_types: bool, parameters: Sequence[tuple[str, str, str]]
) -> dict[str, Any]:
    """An OperationDefinition of the base, and also of the types if `of_types`."""
    canonical = "http://hl7.org/fhir/uv/bulkdata" if code == "export" else "https://creneau.sante.fr/fhir"
    return {
        "resourceType": "OperationDefinition",
        "id": f"directory-{code}",
        "url": f"{canonical}/OperationDefinition/{code}",
        "name": "".join(word.capitalize() for word in code.split("-")),
        "title": "Export of the directory" if code == "export" else "A file of an export",
        "status": "active",
        "kind": "operation",
        "description": documentation,
        "code": code,
        "affectsState": False,
        "resource": list(TYPES),
        "system": True,
        "type": of_types,
        "instance": False,
        "parameter": [
            {"name": name, "use": "in", "min": 0, "max": most, "type": kind}
            for name, kind, most in parameters
        ],
    }


@dataclass(frozen=True, slots=True)
class _Asked:
    """The contents of an export: its form; changes after `since`; type → its queries as texts and parsed. A resource fulfils
    at least one query of its type (no query: all)."""

    form: str
    since: datetime | None
    filters: Mapping[str, Sequence[str]]
    conditions: Mapping[str, tuple[Any, ...]]

    @staticmethod
    def of(call: OperationCall) -> _Asked:
        """Reads the input of a call; BadRequest if it is not understood."""
        request, said = call.request, OperationInput.of(call)
        if request.prefer.strict:
            said.refuse_unknown(_KNOWN, "$export")
        form, since = _format(said), _instant(said, "_since")
        types = dict.fromkeys((*_types(call, said), *_associated(said, strict=request.prefer.strict)))
        filters = {name: _filters(said, name) for name in types}
        conditions = {name: _conditions(texts, name, request) for name, texts in filters.items()}
        return _Asked(form, since, filters, conditions)


@dataclass(frozen=True, slots=True)
class Exports:
    """The two operations: the manifest, and one of its files. `request_max`: longest time between the arrival of a write,
    which dates it, and the start of its transaction."""

    base_url: str
    catalog: Catalog
    file_resources: int
    headers_required: bool
    request_max: timedelta

    def declare_export(self) -> Operation:
        return Operation(
            definition("export", _DOCUMENTATION, of_types=True, parameters=_INPUTS),
            self.export,
            later=True,
            check=self.check,
        )

    def declare_file(self) -> Operation:
        parameters = [*_INPUTS, *((name, "string", "1") for name in ("_after", "_until", "_at", "_deleted"))]
        said = "One file of an $export: its address stands in the manifest."
        return Operation(definition("export-file", said, of_types=False, parameters=parameters), self.file)

    def check(self, call: OperationCall) -> _Asked:
        """Returns the checked input. Unauthenticated for anonymous callers, BadRequest if the input is wrong."""
        self._require_known(call.request)
        return _Asked.of(call)

    async def export(self, call: OperationCall) -> Answer:
        """Answers with the manifest."""
        request, asked = call.request, self.check(call)
        at, since = call.service.clock.now(), asked.since
        output: list[dict[str, Any]] = []
        deleted: list[dict[str, Any]] = []
        own = {"_outputFormat": asked.form, "_at": instant(at)}
        own |= {"_since": instant(since)} if since else {}
        catalog = self._seen(request)
        async with call.service.connection() as connection:
            complete_until = at - self.request_max - await longest_under_way(connection)
            for name, filters in asked.filters.items():
                wanted = Wanted(name, at, since, asked.conditions[name])
                for part in await parts_of(connection, catalog, wanted, self.file_resources):
                    pairs = {"_type": name, **own, "_after": part.after, "_until": part.until}
                    output.append({"type": name, "url": self._url(pairs, filters), "count": part.count})
                if since is not None and (gone := await self._gone(connection, request, name, since, at)):
                    pairs = {"_type": name, **own, "_deleted": "true"}
                    deleted.append({"type": "Bundle", "url": self._url(pairs, ()), "count": len(gone)})
        manifest = {
            "transactionTime": instant(complete_until),
            "request": _address(request),
            "requiresAccessToken": True,
            "output": output,
            "error": [],
            "deleted": deleted,
        }
        return Answer(200, dumps(manifest), {"Content-Type": "application/json"})

    async def file(self, call: OperationCall) -> Answer:
        """Answers with one file: NDJSON, or a Bundle."""
        request, said = call.request, OperationInput.of(call)
        self._require_known(request)
        form, since, at = _format(said), _instant(said, "_since"), _instant(said, "_at")
        [name, *others] = _types(call, said)
        if at is None or others:
            raise BadRequest(
                "L'adresse d'un fichier est dans le manifeste de l'export.",
                "The address of a file stands in the manifest of the export.",
                code="required",
                expression="http._at",
            )
        async with call.service.connection() as connection:
            if said.first("_deleted") == "true" and since is not None:
                ids = await self._gone(connection, request, name, since, at)
                return _deleted(name, ids)
            wanted = Wanted(name, at, since, _conditions(_filters(said, name), name, request))
            after, until = (str(said.first(end) or "") for end in ("_after", "_until"))
            most = GROWN * self.file_resources
            found = await contents_of(connection, self._seen(request), wanted, after, until, most + 1)
        if len(found) > most:
            raise BadRequest(
                "Ce n'est pas l'adresse d'un fichier : prenez celles du manifeste.",
                "This is not the address of a file: take those of the manifest.",
                code="too-costly",
                expression="http._until",
            )
        access = request.access(name, "s")
        return _written(form, name, [shown(access, content) for content in found], self.base_url)

    def _seen(self, request: FhirRequest) -> Catalog:
        """The catalogue for the caller: without sensitive units of others, unless they may see all."""
        viewer = viewer_of(request.access(OFFERS, "s"))
        if viewer.everything or viewer.regulates:
            return self.catalog
        plain = GenericTable.of(OFFERS)
        return self.catalog.with_table(
            OpenOffers(OFFERS, plain.name, plain.needs, (), tuple(sorted(viewer.organizations)))
        )

    async def _gone(
        self, connection: Connection, request: FhirRequest, name: str, since: datetime, at: datetime
    ) -> Sequence[str]:
        """The ids of a type that were deleted after `since`, or that the caller may no longer see."""
        deleted = await deleted_since(connection, name, since, at)
        viewer = viewer_of(request.access(OFFERS, "s"))
        if name != OFFERS or viewer.everything or viewer.regulates:
            return deleted
        hidden = await no_longer_shown(connection, viewer.organizations, since, at)
        return sorted({*deleted, *hidden})

    def _require_known(self, request: FhirRequest) -> None:
        if request.principal.anonymous:
            raise Unauthenticated(
                "L'export se demande avec un jeton d'accès : il faut revenir en chercher les fichiers.",
                "An export is asked for with an access token: one has to come back for its files.",
            )
        if self.headers_required:
            require_ror_headers(request)

    def _url(self, pairs: dict[str, str], filters: Sequence[str]) -> str:
        named = [*pairs.items(), *(("_typeFilter", text) for text in filters)]
        return f"{self.base_url}/$export-file?" + "&".join(_as_pair(name, text) for name, text in named)


def _address(request: FhirRequest) -> str:
    query = "&".join(_as_pair(name, text) for name, text in request.query)
    return "/".join((request.base_url, *request.path)) + (f"?{query}" if query else "")


def _format(said: OperationInput) -> str:
    text = str(said.first("_outputFormat") or "").strip().replace(" ", "+")
    form = _FORMATS.get(text)
    if form is None:
        raise BadRequest(
            f"_outputFormat vaut « {text} » ; possibles : {NDJSON}, application/fhir+json.",
            f"_outputFormat is “{text}”; possible: {NDJSON}, application/fhir+json.",
            code="value",
            expression="http._outputFormat",
        )
    return form


def _instant(said: OperationInput, name: str) -> datetime | None:
    text = said.first(name)
    if text is None or not str(text).strip():
        return None
    try:
        low, _ = parse_interval(str(text).strip().replace(" ", "+"), PARIS)
    except ValueError:
        raise BadRequest(
            f"{name} attend un instant (2026-11-28T08:00:00Z) ; reçu « {text} ».",
            f"{name} takes an instant (2026-11-28T08:00:00Z); got “{text}”.",
            code="value",
            expression=f"http.{name}",
        ) from None
    return low


def _types(call: OperationCall, said: OperationInput) -> list[str]:
    """The requested types, each once; all types of the directory if none is requested."""
    asked = list(dict.fromkeys(said.texts("_type")))
    unknown = [name for name in asked if name not in TYPES]
    if unknown:
        raise BadRequest(
            f"Types inconnus ici : {', '.join(unknown)}. Possibles : {', '.join(TYPES)}.",
            f"Types that are unknown here: {', '.join(unknown)}. Possible: {', '.join(TYPES)}.",
            code="not-supported",
            expression="http._type",
        )
    if call.type is not None:
        return [call.type]
    return asked or list(TYPES)


def _associated(said: OperationInput, *, strict: bool) -> Sequence[str]:
    """The types that `includeAssociatedData` adds. Other values than the ROR's add nothing; with `strict`, BadRequest."""
    asked = said.texts("includeAssociatedData")
    unknown = [value for value in asked if value != WHOLE_GRAPH]
    if unknown and strict:
        raise BadRequest(
            f"includeAssociatedData vaut « {unknown[0]} » ; possible : {WHOLE_GRAPH}.",
            f"includeAssociatedData is “{unknown[0]}”; possible: {WHOLE_GRAPH}.",
            code="not-supported",
            expression="http.includeAssociatedData",
        )
    return ROR_TYPES if WHOLE_GRAPH in asked else ()


def _filters(said: OperationInput, name: str) -> list[str]:
    """The queries of `_typeFilter` on a type (`HealthcareService?_tag=…|11`); each is written so that reading it again gives
    the same. BadRequest for a type that is not the directory's, and for more than the address of a file can say."""
    found: list[str] = []
    size = 0
    for text in said.all("_typeFilter"):
        for part in filter(None, map(str.strip, _NEXT_FILTER.split(str(text)))):
            resource_type, mark, query = (part if "?" in part else unquote(part)).partition("?")
            if resource_type not in TYPES:
                raise BadRequest(
                    f"_typeFilter attend Type?requête, d'un de ces types : {', '.join(TYPES)} ; reçu « {part} ».",
                    f"_typeFilter takes Type?query, of one of these types: {', '.join(TYPES)}; got “{part}”.",
                    code="not-supported",
                    expression="http._typeFilter",
                )
            if resource_type == name:
                found.append(f"{resource_type}{mark}{query.replace(',', '%2C')}")
                size += len(_as_pair("_typeFilter", found[-1]))
                if size > FILTERS_CHARACTERS_MAX:
                    raise _too_many_filters(name)
    return found


def _too_many_filters(name: str) -> BadRequest:
    return BadRequest(
        f"Les _typeFilter de {name} font plus de {FILTERS_CHARACTERS_MAX} caractères : demandez plusieurs exports.",
        f"The _typeFilter of {name} have more than {FILTERS_CHARACTERS_MAX} characters: ask for several exports.",
        code="too-costly",
        expression="http._typeFilter",
    )


def _as_pair(name: str, text: str) -> str:
    return f"{name}={quote(text, safe='')}"


def _conditions(filters: Sequence[str], name: str, request: FhirRequest) -> tuple[Any, ...]:
    return tuple(
        parse_search(
            name,
            parse_qsl(text.partition("?")[2], keep_blank_values=True),
            known_types=KNOWN_TYPES,
            now=request.now,
            strict=True,
            base_url=request.base_url,
        ).conditions
        for text in filters
    )


def _written(form: str, name: str, contents: Sequence[bytes], base_url: str) -> Answer:
    if form == "ndjson":
        return Answer(200, b"".join(content + b"\n" for content in contents), {"Content-Type": NDJSON})
    entries = (Entry(f"{base_url}/{name}/{loads(content)['id']}", content) for content in contents)
    return Answer(200, write_bundle("collection", entries), {"Content-Type": "application/fhir+json"})


def _deleted(name: str, ids: Sequence[str]) -> Answer:
    """A Bundle on one line, with a DELETE entry for each id."""

    def entries() -> Iterator[Entry]:
        for id_ in ids:
            yield Entry(request={"method": "DELETE", "url": f"{name}/{id_}"})

    return Answer(200, write_bundle("transaction", entries()) + b"\n", {"Content-Type": NDJSON})
