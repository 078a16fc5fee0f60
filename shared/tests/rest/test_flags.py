"""A boolean among the input of an operation: what the guides' spellings mean, and what means nothing."""

from __future__ import annotations

from typing import Any

import pytest

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.rest.parameters import OperationInput


@pytest.mark.parametrize(
    ("entries", "meant"),
    [
        ([("dry-run", True)], True),
        ([("dry-run", False)], False),
        ([("dry-run", "true")], True),
        ([("dryRun", " False ")], False),
        ([("dry-run", "")], None),
        ([("dry-run", None)], None),
        ([("other", "perhaps")], None),
        ([], None),
        ([("dryRun", "false"), ("dry-run", "true")], False),
    ],
)
def test_true_false_or_nothing_said(entries: list[tuple[str, Any]], meant: bool | None) -> None:
    """Under either name; of several the first."""
    assert OperationInput(entries).flag("dry-run", "dryRun") is meant


@pytest.mark.parametrize("value", ["perhaps", "1", 1, 0, "oui", {"coding": []}, "true,false"])
def test_anything_else_is_refused_under_the_name_that_was_said(value: Any) -> None:
    """Who wrote 1 for a rehearsal is not taken to want none."""
    with pytest.raises(BadRequest) as refused:
        OperationInput([("dryRun", value)]).flag("dry-run", "dryRun")
    [issue] = refused.value.issues
    assert (issue.code, issue.expression) == ("value", ("http.dryRun",))
