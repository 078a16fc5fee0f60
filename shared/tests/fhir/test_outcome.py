"""OperationOutcome in the language of the reader, and narrative made safe."""

from __future__ import annotations

import pytest

from creneau_shared.errors import Issue
from creneau_shared.fhir.narrative import sanitise
from creneau_shared.fhir.outcome import ISSUE_SYSTEM, negotiate_language, operation_outcome
from creneau_shared.fhir.validation import validate

ISSUE = Issue(
    code="required",
    fr="Il manque.",
    en="It is missing.",
    expression=("A.b",),
    details_code="missing",
    diagnostics="d",
)


def test_outcome_in_both_languages() -> None:
    french, english = (operation_outcome([ISSUE], language) for language in ("fr", "en"))
    assert french["issue"][0]["details"]["text"] == "Il manque."
    assert english["issue"][0]["details"]["text"] == "It is missing."
    assert "It is missing." in str(french["issue"][0]["details"]["_text"])
    assert french["issue"][0]["details"]["coding"] == [{"system": ISSUE_SYSTEM, "code": "missing"}]
    assert french["issue"][0]["expression"] == ["A.b"]
    assert validate(french) == validate(english) == []


def test_outcome_without_issues_says_that_all_is_well() -> None:
    outcome = operation_outcome([], "en", id="x")
    assert (outcome["id"], outcome["issue"][0]["severity"]) == ("x", "information")
    assert validate(outcome) == []


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "fr"),
        ("", "fr"),
        ("en", "en"),
        ("en-GB,en;q=0.9", "en"),
        ("fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        ("en;q=0.4, fr;q=0.5", "fr"),
        ("de, en;q=0.5", "en"),
        ("de", "fr"),
        ("*", "fr"),
        ("en;q=nonsense", "fr"),
        ("fr;q=0, *;q=0.5", "en"),
    ],
)
def test_language_is_french_unless_english_is_preferred(header: str | None, language: str) -> None:
    assert negotiate_language(header) == language


def test_narrative_is_shown_without_anything_that_runs_or_loads() -> None:
    shown = sanitise(
        '<div xmlns="http://www.w3.org/1999/xhtml"><p style="x" onclick="y">Bonjour <b>vous</b></p>'
        '<img src="https://suivi.example/x.png"/><a href="javascript:z">lien</a><script>z</script></div>'
    )
    assert "Bonjour <b>vous</b>" in shown
    for word in ("style", "onclick", "img", "javascript", "script"):
        assert word not in shown
