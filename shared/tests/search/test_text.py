"""Texts made comparable, for people who do not type accents."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creneau_shared.fhir.text import contact_key
from creneau_shared.spelling import fold, phonetic


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("L’Haÿ-les-Roses", "l hay les roses"),
        ("Sacré-Cœur", "sacre coeur"),
        ("ŒUVRE", "oeuvre"),
        ("Ex æquo", "ex aequo"),
        ("  d'Été_ ", "d ete"),
        ("Straße", "strasse"),
        ("e\u0301", "e"),
        ("…", ""),
    ],
)
def test_fold(text: str, folded: str) -> None:
    """Lower case, no accents, ligatures opened, punctuation as one blank."""
    assert fold(text) == folded


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    """A stored folded value can be compared with a folded query."""
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Lefèvre", "Lefebvre"), ("Thibault", "Tibaud"), ("Dupont", "Dupond"), ("Philippe", "Filipe"),
        ("Renaud", "Renault"), ("Martin", "Martain"), ("Schmitt", "Schmit"), ("Gauthier", "Gautier"),
        ("Quentin", "Kentin"), ("Guillaume", "Guilaume"),
    ],
)  # fmt: skip
def test_heard_alike(one: str, other: str) -> None:
    """Common French spellings of one sound meet."""
    assert phonetic(one) == phonetic(other)


@pytest.mark.parametrize(
    ("text", "sound"), [("des", "de"), ("ases", "as"), ("a s", "a "), ("le petit prince", "le peti prin")]
)
def test_the_silent_end_of_words(text: str, sound: str) -> None:
    """What ends a word is not heard; the first two letters always are."""
    assert phonetic(text) == sound


@pytest.mark.parametrize("letters", ["se", "gc", "sc", "cqk", "ain", "eau", "h s", "œ", "(.)"])
def test_hearing_a_long_text_takes_linear_time(letters: str) -> None:
    """Anybody may search by sound: ten thousand letters that alternate take milliseconds, not seconds."""
    begun = time.process_time()
    phonetic(letters * (10_000 // len(letters)) + "a")
    assert time.process_time() - begun < 0.3


@pytest.mark.parametrize(("one", "other"), [("Martin", "Moreau"), ("Durand", "Girard"), ("Petit", "Robert")])
def test_heard_differently(one: str, other: str) -> None:
    """Different names stay apart."""
    assert phonetic(one) != phonetic(other)


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("06 12 34 56 78", "+33612345678"),
        ("+33 (0)6.12.34.56.78", "+33612345678"),
        ("0033612345678", "+33612345678"),
        ("+262 692 00 00 00", "+262692000000"),
        ("3624", "3624"),
        ("Anne@Exemple.fr", "anne@exemple.fr"),
        ("https://exemple.fr/A", "https://exemple.fr/a"),
    ],
)
def test_contact_key(written: str, key: str) -> None:
    """One spelling for each number and address."""
    assert contact_key(written) == key
