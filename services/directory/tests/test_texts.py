"""P20: nobody is turned away, in a practice's own words, for how their care is paid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creneau_directory.domain.texts import discriminating_texts, turns_away


@pytest.mark.parametrize(
    "text",
    [
        "CMU non acceptée",
        "Ne prend pas la CMU",
        "Pas de CMU ni d'AME.",
        "Le cabinet ne reçoit pas les patients bénéficiaires de la C2S",
        "AME refusée",
        "Nous refusons l'aide médicale d'État",
        "patients hors CMU-C",
        "Consultations le matin. C.M.U. : non.",
        "No CMU patients",
        "CSS : sur place uniquement, pas en ligne",
    ],
)
def test_words_that_turn_people_away(text: str) -> None:
    assert turns_away(text)


@pytest.mark.parametrize(
    "text",
    [
        "CMU acceptée",
        "Tiers payant, CSS et AME acceptés.",
        "Pas de stationnement. CMU acceptée.",
        "Ferme les jours fériés",
        "Je n'accepte pas de nouveaux patients.",
        "Même en l'absence de carte Vitale",
        "Aucun refus de CMU : pas de refus.",
        "Fermé pour cause de déménagement ; l'âme du cabinet reste",
    ],
)
def test_words_that_do_not(text: str) -> None:
    assert not turns_away(text)


@given(st.text())
def test_whatever_is_written_is_judged(text: str) -> None:
    turns_away(text)


def test_the_element_is_named() -> None:
    offer = {"resourceType": "HealthcareService", "comment": "CMU refusée", "name": "Soins"}
    assert list(discriminating_texts(offer)) == ["comment"]
