"""JSON Patch (RFC 6902)."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch

from creneau_shared.fhir import json
from creneau_shared.fhir.patch.result import (
    RESULT_BYTES_MAX,
    check_count,
    check_depth,
    inapplicable,
    malformed,
    too_deep,
)


def apply(operations: Any, resource: dict[str, Any]) -> dict[str, Any]:
    """A copy of `resource` changed by `operations`, the parsed patch."""
    if not isinstance(operations, list):
        raise malformed(
            "un correctif JSON est une liste d'opérations", "a JSON patch is an array of operations"
        )
    check_count(len(operations))
    result: Any = copy.deepcopy(resource)
    for index, operation in enumerate(operations):
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
    if operation.get("op") == "copy":
        check_depth(result, index)
        if len(json.dumps(result)) > RESULT_BYTES_MAX:
            raise inapplicable("la ressource devient trop grande", "the resource becomes too large", index)
    return result
