"""Content negotiation and preferences: what is read, what is served, how much of it (FHIR R4 http.html)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from creneau_shared.choices import one_of
from creneau_shared.errors import BadRequest, NotAcceptable, UnsupportedMedia
from creneau_shared.fhir.datatypes import whole_number

Format = Literal["json", "xml"]
Return = Literal["minimal", "representation", "OperationOutcome"]
RETURNS: tuple[Return, ...] = get_args(Return)

CONTENT_TYPE: dict[Format, str] = {
    "json": "application/fhir+json; charset=utf-8",
    "xml": "application/fhir+xml; charset=utf-8",
}
MEDIA_TYPES: dict[str, Format] = {
    "json": "json",
    "text/json": "json",
    "application/json": "json",
    "application/fhir+json": "json",
    "application/json+fhir": "json",  # the spelling that SAS uses
    "xml": "xml",
    "text/xml": "xml",
    "application/xml": "xml",
    "application/fhir+xml": "xml",
    "application/xml+fhir": "xml",
    "application/fhir+ndjson": "json",  # the files of an $export, which say so themselves
    "application/ndjson": "json",
    "text/html": "json",  # a browser that opens an address
    "*/*": "json",
    "application/*": "json",
    "text/*": "json",
}
NDJSON = frozenset({"application/fhir+ndjson", "application/ndjson", "application/x-ndjson", "ndjson"})
FHIR_VERSIONS = ("4.0", "4.0.1")
SPELLINGS_REMEMBERED = 256
"""header values remembered: clients send the same few, a thousand times a second"""


@dataclass(frozen=True, slots=True)
class Preference:
    """The `Prefer` header: `return`, `handling` and `respond-async` (FHIR R4 http.html#ops), as RFC 7240 writes them: the
    first of a repeated preference counts, names have no case, values may be quoted."""

    returning: Return = "representation"
    strict: bool = False
    respond_async: bool = False

    @staticmethod
    @lru_cache(SPELLINGS_REMEMBERED)
    def parse(header: str | None) -> Preference:
        pairs: dict[str, str] = {}
        for word in (header or "").replace(";", ",").split(","):
            name, _, value = (part.strip() for part in word.partition("="))
            pairs.setdefault(name.lower(), value.strip('"'))
        return Preference(
            one_of(RETURNS, pairs.get("return")) or "representation",
            strict=pairs.get("handling") == "strict",
            respond_async="respond-async" in pairs,
        )


def _split_media(text: str) -> tuple[str, dict[str, str]]:
    media, *parameters = (part.strip() for part in text.split(";"))
    pairs = (parameter.partition("=") for parameter in parameters if parameter)
    return media.lower().replace(" ", "+"), {
        name.strip().lower(): value.strip('" ') for name, _, value in pairs
    }


def _weight(parameters: Mapping[str, str]) -> float:
    try:
        return float(parameters.get("q", "1"))
    except ValueError:
        return 0.0


@lru_cache(SPELLINGS_REMEMBERED)
def accepted_format(accept: str | None, format_parameter: str | None) -> Format:
    """The format to answer in. `_format` overrides Accept; NotAcceptable when none that is asked for is served."""
    if format_parameter:
        media, parameters = _split_media(format_parameter)
        chosen = MEDIA_TYPES.get(media)
        if chosen is None or parameters.get("fhirversion", FHIR_VERSIONS[0]) not in FHIR_VERSIONS:
            raise _not_acceptable(format_parameter)
        return chosen
    if not accept:
        return "json"
    ranked = sorted((_split_media(part) for part in accept.split(",")), key=lambda part: -_weight(part[1]))
    excluded = {media for media, parameters in ranked if _weight(parameters) <= 0}
    for media, parameters in ranked:
        version = parameters.get("fhirversion", FHIR_VERSIONS[0])
        if media not in MEDIA_TYPES or media in excluded or version not in FHIR_VERSIONS:
            continue
        # A range means what it does not exclude by name (RFC 9110 12.5.1: the most specific counts).
        formats: tuple[Format, ...] = ("json", "xml") if "*" in media else (MEDIA_TYPES[media],)
        for format_ in formats:
            if "*" not in media or CONTENT_TYPE[format_].partition(";")[0] not in excluded:
                return format_
    raise _not_acceptable(accept)


def is_ndjson(content_type: str | None) -> bool:
    """Whether a body is one resource a line (FHIR R4 nd-json.html)."""
    return (content_type or "").partition(";")[0].strip().lower() in NDJSON


def body_format(content_type: str | None) -> Format:
    """The format that a body is in; UnsupportedMedia when it is not one that is read."""
    if not content_type:
        raise UnsupportedMedia(
            "Indiquez le format du contenu : Content-Type: application/fhir+json.",
            "State the format of the body: Content-Type: application/fhir+json.",
        )
    media, parameters = _split_media(content_type)
    charset = parameters.get("charset", "utf-8").lower()
    readable = MEDIA_TYPES.get(media) if "*" not in media and media != "text/html" else None
    if (
        readable is None
        or charset not in ("utf-8", "utf8")
        or parameters.get("fhirversion", "4.0") not in FHIR_VERSIONS
    ):
        raise UnsupportedMedia(
            f"Le format « {content_type} » n'est pas lu ici : envoyez application/fhir+json ou application/fhir+xml, en UTF-8.",
            f"The format “{content_type}” is not read here: send application/fhir+json or application/fhir+xml, in UTF-8.",
        )
    return readable


def entity_versions(header: str, name: str) -> frozenset[int]:
    """The versions in an `If-Match` header, one of which has to be the current one (RFC 9110 13.1.1): `W/"3"`, or a list;
    a bare or strong tag is understood too. BadRequest for anything else."""
    versions = [whole_number(_opaque(tag)) for tag in header.split(",")]
    if None in versions:
        raise BadRequest(
            f'L\'en-tête {name} doit citer une version : W/"3" ; reçu « {header} ».',
            f'The header {name} must quote a version: W/"3"; got “{header}”.',
            code="value",
        )
    return frozenset(version for version in versions if version is not None)


def names_entity(header: str, etag: str) -> bool:
    """Whether an `If-None-Match` header names an entity: in a list, compared weakly, or any (`*`) (RFC 9110 13.1.2)."""
    tags = {_opaque(tag) for tag in header.split(",")}
    return "*" in tags or _opaque(etag) in tags


def _opaque(tag: str) -> str:
    return tag.strip().removeprefix("W/").strip('"')


def _not_acceptable(asked: str) -> NotAcceptable:
    return NotAcceptable(
        f"Aucun des formats demandés ({asked}) n'est servi : demandez application/fhir+json ou application/fhir+xml (FHIR 4.0).",
        f"None of the formats asked for ({asked}) is served: ask for application/fhir+json or application/fhir+xml (FHIR 4.0).",
    )
