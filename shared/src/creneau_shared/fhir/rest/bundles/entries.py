"""The entries of a batch or transaction Bundle, read as requests (FHIR R4 http.html#transaction)."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from creneau_shared.errors import BadRequest, CreneauError
from creneau_shared.fhir.audit import PURPOSE_HEADER
from creneau_shared.fhir.datatypes import instant_of
from creneau_shared.fhir.rest.bounds import BUNDLE_ENTRIES_MAX
from creneau_shared.fhir.rest.conditions import EXPRESSION
from creneau_shared.fhir.rest.exchange import FhirRequest, http_date
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.validation import check

URL_PARAMETERS_MAX = 200
PRECONDITIONS = {
    "ifMatch": "if-match",
    "ifNoneMatch": "if-none-match",
    "ifModifiedSince": "if-modified-since",
    "ifNoneExist": "if-none-exist",
}


@dataclass
class RequestEntry:
    """One entry of the Bundle, with its place in it."""

    index: int
    full_url: str | None
    request: FhirRequest
    refers_to: set[str] = field(default_factory=set)
    """references from this entry to other entries' resources, as they will be stored"""

    @property
    def only_reads(self) -> bool:
        """Whether the entry changes nothing, whatever it finds. Operations may."""
        return self.request.method in ("GET", "HEAD") or self.request.path[-1:] == ("_search",)


def refuse_key(headers: Mapping[str, str]) -> None:
    """BadRequest for an Idempotency-Key on a batch: its entries are carried out apart, so that no key could be kept
    with all of them."""
    if "idempotency-key" in headers:
        raise BadRequest(
            "Un batch n'accepte pas d'Idempotency-Key : ses entrées s'exécutent chacune pour soi. Envoyez une transaction,"
            " ou chaque demande seule avec sa clé, ou le batch avec Prefer: respond-async s'il porte sur un seul service."
            " Rien n'a été fait.",
            "A batch takes no Idempotency-Key: its entries are carried out each for itself. Send a transaction, or each"
            " request alone with its key, or the batch with Prefer: respond-async if it is about one service."
            " Nothing was done.",
            code="not-supported",
            expression="http.idempotency-key",
        )


def check_bundle(bundle: Resource) -> None:
    """Refuses a Bundle that is no batch or transaction or is too long, and entries without a usable request.

    The resources in the entries are checked when their turn comes, so that in a batch one bad entry fails alone.
    """
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") not in ("batch", "transaction"):
        raise BadRequest(
            "Cette adresse reçoit un Bundle de type batch ou transaction.",
            "This address takes a Bundle of type batch or transaction.",
            expression="Bundle.type",
            code="value",
        )
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise BadRequest("Bundle.entry est une liste.", "Bundle.entry is a list.", expression="Bundle.entry")
    if len(entries) > BUNDLE_ENTRIES_MAX:
        raise BadRequest(
            f"Un Bundle porte au plus {BUNDLE_ENTRIES_MAX} entrées ; celui-ci en a {len(entries)}.",
            f"A Bundle holds at most {BUNDLE_ENTRIES_MAX} entries; this one has {len(entries)}.",
            code="too-costly",
            expression="Bundle.entry",
        )
    check({**bundle, "entry": [_bare(entry) for entry in entries]} if entries else bundle, "Bundle")
    for index, entry in enumerate(entries):
        if "request" not in entry:
            raise BadRequest(
                f"L'entrée {index} n'a pas de request.",
                f"Entry {index} has no request.",
                code="required",
                expression=f"Bundle.entry[{index}].request",
            )


def _bare(entry: Any) -> Any:
    """The entry without its resource; an entry that held nothing else gets an empty `request` to be checked."""
    if not isinstance(entry, dict):
        return entry
    rest = {name: value for name, value in entry.items() if name != "resource"}
    return rest or {"request": None}


def read_entry(outer: FhirRequest, index: int, entry: Resource) -> RequestEntry:
    """Reads the entry as a request of the Bundle's sender; BadRequest for an unusable address or header."""
    wanted = entry["request"]
    path, query = read_address(wanted, outer.base_url, index)
    headers = {
        name: value
        for name, value in outer.headers.items()
        if name in ("authorization", "accept-language", "prefer", PURPOSE_HEADER)
    }
    headers |= preconditions(wanted, index)
    headers["content-type"] = "application/fhir+json"
    body = b""
    resource = entry.get("resource")
    if isinstance(resource, dict) and resource.get("resourceType") == "Binary":
        # JSON Patch travels in a Bundle as a Binary (FHIR R4 http.html#jsonpatch)
        headers["content-type"] = _header_value(str(resource.get("contentType", "")), None, index)
        body, resource = _base64(resource.get("data", ""), index), None
    request = replace(
        outer,
        method=wanted["method"],
        path=path,
        query=query,
        headers=headers,
        body=body,
        parsed=resource,
        rights=None,
    )
    return RequestEntry(index, entry.get("fullUrl"), request)


def preconditions(wanted: Mapping[str, Any], index: int) -> dict[str, str]:
    """The headers that say what an entry's `request` asks for under a condition: an instant as a date of HTTP, which knows
    whole seconds. BadRequest for what no header could hold."""
    said = {name: wanted[name] for name in PRECONDITIONS if name in wanted}
    if "ifModifiedSince" in said:
        said["ifModifiedSince"] = http_date(instant_of(said["ifModifiedSince"]))
    return {PRECONDITIONS[name]: _header_value(value, name, index) for name, value in said.items()}


_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def _header_value(value: str, name: str | None, index: int) -> str:
    """The value that an entry gives for a header; BadRequest for one that no header could hold (RFC 9110 5.5)."""
    if _CONTROL.search(value):
        where = f"request.{name}" if name else "resource.contentType"
        raise BadRequest(
            f"Bundle.entry[{index}].{where} contient un caractère de commande.",
            f"Bundle.entry[{index}].{where} holds a control character.",
            expression=f"Bundle.entry[{index}].{where}",
            code="value",
            details_code="control-character",
        )
    return value


def _base64(data: Any, index: int) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (TypeError, ValueError) as error:
        raise BadRequest(
            "Binary.data n'est pas du base64.",
            "Binary.data is not base64.",
            expression=f"Bundle.entry[{index}].resource.data",
        ) from error


_ELSEWHERE = re.compile(r"\s*(?:[A-Za-z][A-Za-z0-9+.-]*:|//|\\)")
"""an address with a scheme or a host of its own (RFC 3986 4.2)"""


def split_url(url: str, base_url: str, index: int) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """The path segments and the parameters of an entry's `request.url`, which may be absolute within this base."""
    below = url.removeprefix(base_url)
    if _ELSEWHERE.match(url) and (below == url or below[:1] not in ("/", "?", "")):
        raise BadRequest(
            f"L'adresse « {url} » n'est pas dans cette base ({base_url}) ; donnez-la relative : Slot/12.",
            f"The address “{url}” is not in this base ({base_url}); give it relative: Slot/12.",
            expression=f"Bundle.entry[{index}].request.url",
            code="value",
            details_code="foreign-address",
        )
    try:
        parts = urlsplit(below.lstrip("/"))
        query = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=URL_PARAMETERS_MAX)
    except ValueError as error:
        raise BadRequest(
            f"L'adresse « {url} » est illisible.",
            f"The address “{url}” is unreadable.",
            expression=f"Bundle.entry[{index}].request.url",
            code="value",
        ) from error
    return tuple(unquote(part) for part in parts.path.split("/") if part), query


def read_address(
    wanted: Mapping[str, Any], base_url: str, index: int
) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """As `split_url`, of an entry's `request`; BadRequest for a Bundle within the Bundle, and for whatever else is not
    a read of the base itself: a Bundle is counted, and carried out, by its own entries alone."""
    path, query = split_url(wanted["url"], base_url, index)
    if not path and wanted["method"] not in ("GET", "HEAD"):
        raise BadRequest(
            f"L'entrée {index} s'adresse à la base elle-même : un Bundle n'en contient pas d'autre, et seul GET y lit."
            " Rien n'a été fait.",
            f"Entry {index} is addressed to the base itself: a Bundle holds no other Bundle, and only GET reads there."
            " Nothing was done.",
            code="not-supported",
            expression=f"Bundle.entry[{index}].request.url",
        )
    return path, query


def located(error: CreneauError, index: int) -> CreneauError:
    """The same failure, located in one entry of the Bundle."""
    where = f"Bundle.entry[{index}]"
    issues = [
        replace(issue, expression=tuple(_within(where, e) for e in issue.expression) or (where,))
        for issue in error.issues
    ]
    return type(error)(issues=issues, headers=error.headers)


def _within(where: str, expression: str) -> str:
    """`Patient.name` → `Bundle.entry[0].resource.name`; what is about the address (`http.…`) → its request.url."""
    if expression.startswith("Bundle."):
        return expression
    if expression == EXPRESSION:
        return f"{where}.request.ifNoneExist"
    head, _, rest = expression.partition(".")
    if not head[:1].isupper():
        return f"{where}.request.url"
    return f"{where}.resource.{rest}" if rest else f"{where}.resource"
