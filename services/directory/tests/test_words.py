"""Every refusal of the directory's rules is told, in both languages, and nothing else is."""

from __future__ import annotations

from typing import get_args

import pytest

from creneau_directory.domain import refusals
from creneau_directory.domain.ror.capacities import StaleCapacity
from creneau_directory.domain.ror.facets import FacetFault, Problem
from creneau_directory.ror_words import FACETS
from creneau_directory.words import CATALOGUE, told
from creneau_shared.fhir.terminology.issue_codes import ISSUE_CODES
from creneau_shared.refusal import Refusal

REFUSALS: list[Refusal] = [
    refusals.EntryUnfit(
        "Device",
        (
            refusals.WrongNumber(0, "12", "RPPS"),
            refusals.UnknownZone(1, "Mars"),
            refusals.PatientsDevice(),
            refusals.DiscriminatingText("comment"),
            refusals.WrongCommune("address", "2C001"),
            StaleCapacity(1, "2026-01-01", "2026-01-02"),
            StaleCapacity(1, "2099-01-01", None),
            *(FacetFault("extension", facet, problem) for facet in FACETS for problem in get_args(Problem)),
        ),
    ),
    refusals.StillNamed("Location", "12", ("Schedule/1",)),
    refusals.AccountUnfit(
        tuple(refusals.AccountLacks("name", fault) for fault in get_args(refusals.AccountFault))
    ),
    refusals.PartOfItself("Location/12"),
    refusals.ProfessionalKnown("12"),
    refusals.RegulatorKnown("12"),
    refusals.ProfessionalNotTheirs("12"),
    refusals.WholeNotTheirs("12"),
    refusals.PartsIdNotTheirs("12"),
    refusals.ReliedOnByOthers("12", ("identifier", "active")),
    refusals.OwnNumbersChanged(),
    refusals.RorHeadersMissing(("Ror-Role-Metier-Code",)),
]


def test_words_and_refusals_are_the_same_set() -> None:
    kinds = {
        one
        for one in vars(refusals).values()
        if isinstance(one, type) and issubclass(one, Refusal) and one is not Refusal
    }
    assert set(CATALOGUE) == kinds == {type(refusal) for refusal in REFUSALS}


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda one: type(one).__name__)
def test_each_is_told_whole(refusal: Refusal) -> None:
    error = told(refusal)
    assert 400 <= error.status < 500
    assert error.issues
    for issue in error.issues:
        assert issue.fr
        assert issue.en not in ("", issue.fr)
        assert issue.details_code in ISSUE_CODES
        assert issue.expression
        assert all(issue.expression)
