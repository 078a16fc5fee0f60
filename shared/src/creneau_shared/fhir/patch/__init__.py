"""The three patch formats of FHIR R4 (http.html#patch) on a resource.

A patch changes a copy, wholly or not at all; the result is not validated here. A patch that changes `resourceType`,
`id` or `meta.versionId` is refused.
"""

from __future__ import annotations

from typing import Any

from creneau_shared.errors import Unprocessable, UnsupportedMedia
from creneau_shared.fhir import json, xml
from creneau_shared.fhir.patch import fhirpath_patch, json_patch, xml_patch
from creneau_shared.fhir.patch.result import check_depth, too_costly, without_empties
from creneau_shared.fhir.paths.effort import TooMuchEffortError

__all__ = ["PATCH_FORMATS", "apply_patch"]

PATCH_FORMATS = (
    "application/json-patch+json",
    "application/xml-patch+xml",
    "application/fhir+json",
    "application/fhir+xml",
)
"""Content types of a patch; with the last two the body is a Parameters resource (FHIRPath Patch)."""


def apply_patch(content_type: str, body: bytes, resource: dict[str, Any]) -> dict[str, Any]:
    """`resource` as the patch in `body` leaves it, a new dict.

    Raises UnsupportedMedia for a content type that is none of PATCH_FORMATS, BadRequest for a patch that
    cannot be read, Unprocessable for one that does not apply or looks at too much; BadRequest and the patch that does
    not apply say which operation.
    """
    try:
        patched = _patched(content_type, body, resource)
    except TooMuchEffortError:
        raise too_costly() from None
    check_depth(patched)
    _refuse_other_identity(resource, patched)
    result = without_empties(patched)
    return result if isinstance(result, dict) else {}


def _patched(content_type: str, body: bytes, resource: dict[str, Any]) -> dict[str, Any]:
    match content_type.partition(";")[0].strip().lower():
        case "application/json-patch+json":
            return json_patch.apply(json.loads_any_sent(body), resource)
        case "application/xml-patch+xml":
            return xml_patch.apply(body, resource)
        case "application/fhir+json" | "application/json":
            return fhirpath_patch.apply(json.loads_sent(body), resource)
        case "application/fhir+xml" | "application/xml":
            return fhirpath_patch.apply(xml.from_xml(body), resource)
        case other:
            raise UnsupportedMedia(
                f"Le type de correctif « {other} » n'est pas lu ici ; sont lus : {', '.join(PATCH_FORMATS)}.",
                f"A patch of type “{other}” is not read here; read are: {', '.join(PATCH_FORMATS)}.",
                headers={"Accept-Patch": ", ".join(PATCH_FORMATS)},
            )


def _refuse_other_identity(before: dict[str, Any], after: dict[str, Any]) -> None:
    name = before.get("resourceType")
    for path, old, new in (
        ("resourceType", name, after.get("resourceType")),
        ("id", before.get("id"), after.get("id")),
        ("meta.versionId", _version(before), _version(after)),
    ):
        if old != new:
            raise Unprocessable(
                f"Un correctif ne peut pas changer {path}.",
                f"A patch cannot change {path}.",
                expression=f"{name}.{path}",
                details_code="patch-identity",
            )


def _version(resource: dict[str, Any]) -> Any:
    meta = resource.get("meta")
    return meta.get("versionId") if isinstance(meta, dict) else None
