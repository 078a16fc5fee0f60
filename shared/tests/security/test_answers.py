"""What is asked of whoever comes by a link: read as people write, and of no use to whoever lacks the key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creneau_shared.security.answers import Answers, normalised

WHO = "Patient/12"
ANSWERS = Answers("a key")


def right(**patient: object) -> list[str]:
    return ANSWERS.right(patient, WHO)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("1984", "1984"),
        (" 1984\n", "1984"),
        ("Éléonore", "ele"),
        ("Œuvrard", "oeu"),
        ("O'Brien", "obr"),
        ("le Goff", "leg"),
        ("D’Almeida-Rocha", "dal"),
        ("Ly", "ly"),
        ("Straße", "str"),
        ("Đặng", "dan"),
        ("Łukasz", "luk"),
        ("Иванов", "ива"),
        ("06/05/1984", ""),
        ("3984", ""),
        ("", ""),
    ],
)
def test_answers_are_read_as_they_are_meant(said: str, read: str) -> None:
    assert normalised(said) == read


def test_the_birth_name_is_asked_for_and_not_the_usual_one() -> None:
    names = [{"use": "usual", "family": "Durand"}, {"use": "official", "family": "Martin"}]
    digests = right(birthDate="1984-05-06", name=names)
    assert [ANSWERS.holds(said, WHO, digests) for said in ("1984", "mar", "MARTIN", "dur", "1985")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_a_name_without_use_is_the_birth_name() -> None:
    """As a person's own account states it; without any of it there is nothing to ask."""
    digests = right(name=[{"family": "Martin", "given": ["Camille"]}], birthDate="1984")
    assert ANSWERS.holds("mar", WHO, digests)
    assert ANSWERS.holds("1984", WHO, digests)
    assert right(name=[{"text": "Camille Martin"}]) == []
    assert right() == []


def test_nothing_is_right_without_the_key_or_about_somebody_else() -> None:
    digests = right(birthDate="1984-05-06")
    assert not ANSWERS.holds("1984", "Patient/13", digests)
    assert not Answers("another").holds("1984", WHO, digests)
    assert Answers("").right({"birthDate": "1984-05-06"}, WHO) == []
    assert not Answers("").holds("1984", WHO, digests)
    assert "1984" not in str(digests)


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    assert len(normalised(text)) <= 4
    assert not ANSWERS.holds(text, WHO, [])
