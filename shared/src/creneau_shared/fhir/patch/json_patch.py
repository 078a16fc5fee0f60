"""JSON Patch (RFC 6902)."""

from __future__ import annotations

import copy
from typing import Any, Final

import jsonpatch

from creneau_shared.fhir import json
from creneau_shared.fhir.patch.result import (
    check_count,
    check_depth,
    inapplicable,
    malformed,
    too_deep,
)

COPIED_BYTES_MAX: Final = 512 * 1024
"""What the copies of one patch have together, bytes of JSON: twice the largest resource that is stored unless a setting says
otherwise. Copies of copies grow fast."""


def apply(operations: Any, resource: dict[str, Any]) -> dict[str, Any]:
    """A copy of `resource` changed by `operations`, the parsed patch."""
    if not isinstance(operations, list):
        raise malformed(
            "un correctif JSON est une liste d'opérations", "a JSON patch is an array of operations"
        )
    check_count(len(operations))
    result: Any = copy.deepcopy(resource)
    copied = 0
    for index, operation in enumerate(operations):
        copied += _copied_bytes(index, operation, result)
        if copied > COPIED_BYTES_MAX:
            raise inapplicable("la ressource devient trop grande", "the resource becomes too large", index)
        result = _apply_one(index, operation, result)
    if not isinstance(result, dict):
        raise inapplicable("le résultat n'est pas une ressource", "the result is not a resource")
    return result


def _apply_one(index: int, operation: Any, document: Any) -> Any:
    if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
        raise malformed("une opération a au moins op et path", "an operation has at least op and path", index)
    path = operation["path"]
    try:
        result = jsonpatch.JsonPatch([copy.deepcopy(operation)]).apply(document, in_place=True)
    except jsonpatch.JsonPatchTestFailed:
        raise inapplicable(
            f"l'essai échoue, {path} n'a pas cette valeur",
            f"the test fails, {path} has not this value",
            index,
        ) from None
    except (jsonpatch.JsonPatchConflict, jsonpatch.JsonPointerException) as error:
        if isinstance(error, jsonpatch.JsonPointerException) and not path.startswith("/") and path:
            raise malformed(
                f"{path} n'est pas un pointeur JSON", f"{path} is not a JSON pointer", index
            ) from None
        raise inapplicable(f"{path} n'existe pas", f"{path} does not exist", index) from None
    except (jsonpatch.JsonPatchException, TypeError, KeyError, IndexError, ValueError):
        raise malformed("l'opération est mal formée", "the operation is malformed", index) from None
    except RecursionError:
        raise too_deep(index) from None
    return result


def _copied_bytes(index: int, operation: Any, document: Any) -> int:
    """The bytes of what the operation copies, looked at before it is copied; 0 for what is no copy, or cannot be one. What is
    copied is measured and not what becomes of the document, so that all of them cost no more than what they copy."""
    if not isinstance(operation, dict) or operation.get("op") != "copy":
        return 0
    source = operation.get("from")
    if not isinstance(source, str):
        return 0
    try:
        value = jsonpatch.JsonPointer(source).resolve(document)
    except (jsonpatch.JsonPointerException, TypeError):
        return 0
    if not isinstance(value, str | dict | list):
        return 0
    check_depth(value, index)
    return len(json.dumps(value))
