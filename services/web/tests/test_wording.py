"""Three catalogues that say the same things, and no sentence outside of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest

from creneau_web.wording import LANGUAGES, WITHOUT_TEXTS, read_catalogues

SOURCES = Path(str(files("creneau_web")))
WORDINGS = read_catalogues()
USED = re.compile(r"""\b(?:t|tn)\(\s*['"]([a-z\d_.\-]+)['"]""")
QUOTED = re.compile(r"""['"]([\w.\-]+)['"]""")
BEGUN = re.compile(r"""['"]([a-z\d_\-]+\.(?:[a-z_.\-]+\.)?)(?:['"]|\{)""")
A_WHILE = re.compile(
    r"(?i)\b(?:(?:pendant|pour|for) (?:une?|an?) |half an |demi-|deux|two|cinq|five|dix|ten|quinze|fifteen|trente|thirty|\d+)"
    r" ?(?:minutes?|heures?|hours?)\b"
)
"""so long: a time said in words or figures"""
ENTRIES = r"(?: ?msgid (?:msgstr|msgid_plural(?: msgstr)+))+"
"""the keywords of a catalogue, in their order"""
WORDS_MAX = 15
"""of a sentence of the simple version (X17)"""
FILLED = {
    "moment": "mercredi 23 septembre à 14 h 30",
    "until": "mercredi 23 septembre à 14 h 30",
    "day": "23 septembre",
    "who": "Dr Marie-Claire Dupont",
    "operator": "l'exploitant de cette installation",
    "name": "Camille Martin",
    "host": "un hébergeur de données de santé",
}
"""what stands in the places of a sentence, as long as it is in life; one word in any other"""
TOO_HARD = re.compile(
    r"\bcréneaux?\b|(?i:\b(?:courriers? électroniques?|adresses? électroniques?|spécialités?|facultatifs?|consultations?"
    r"|modifier|préalables?|veuillez|ultérieur\w*|effectuer|néanmoins|désormais|dispositif|conformément|relati[fv]\w*)\b)"
)
"""words that the simple version has simpler ones for"""
FOR_OPERATORS = ("ops.", "console.", "eco.", "legal.")


def test_every_language_has_every_key() -> None:
    assert WORDINGS["fr"].keys == WORDINGS["en"].keys == WORDINGS["simple"].keys


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_is_a_gettext_file(language: str) -> None:
    """Each key once, with its own sentence: Babel takes the first of two, whatever others (msgfmt, Weblate) say of them."""
    text = (SOURCES / "locale" / f"{language}.po").read_text()
    keywords = re.findall(r"^(?:msgid_plural|msgid|msgstr)\b", text, re.MULTILINE)
    assert re.fullmatch(ENTRIES, " ".join(keywords)) is not None
    keys = re.findall(r"^msgid .*", text, re.MULTILINE)
    assert len(keys) == len(set(keys))


def test_every_key_that_is_used_is_there() -> None:
    used = {
        key
        for path in [*SOURCES.rglob("*.html"), *SOURCES.rglob("*.py")]
        for key in USED.findall(path.read_text())
        if not key.endswith(".")
    }
    assert len(used) > 100
    assert used - WORDINGS["fr"].keys == set()


def test_every_key_that_is_there_is_used() -> None:
    """By its name, or by the beginning of one that a page completes."""
    sources = "\n".join(path.read_text() for path in [*SOURCES.rglob("*.html"), *SOURCES.rglob("*.py")])
    quoted, begun = set(QUOTED.findall(sources)), tuple(BEGUN.findall(sources))
    names = {key.removesuffix(WITHOUT_TEXTS) for key in WORDINGS["fr"].keys}
    assert {name for name in names - quoted if not name.startswith(begun)} == set()


def test_what_a_summary_of_errors_leads_to_takes_the_keyboard_along() -> None:
    groups = [
        group
        for path in SOURCES.rglob("*.html")
        for group in re.findall(r"<fieldset id=[^>]*>", path.read_text())
    ]
    assert len(groups) > 2
    assert [group for group in groups if 'tabindex="-1"' not in group] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_places_are_filled_in(language: str) -> None:
    holes = re.compile(r"\{(\w+)\}")
    for key in WORDINGS["fr"].keys:
        french = set(holes.findall(WORDINGS["fr"]._messages.gettext(key)))
        other = set(holes.findall(WORDINGS[language]._messages.gettext(key)))  # type: ignore[index]
        assert other <= french, key


@pytest.mark.parametrize("language", LANGUAGES)
def test_where_no_texts_are_sent_no_sentence_speaks_of_them(language: str) -> None:
    """Each such sentence has a version of its own, and each version its sentence."""
    keys = WORDINGS["fr"].keys
    wording = read_catalogues(sends_texts=False)[language]  # type: ignore[index]
    own = {key.removesuffix(WITHOUT_TEXTS) for key in keys if key.endswith(WITHOUT_TEXTS)}
    assert own <= keys
    told = {key: wording._messages.gettext(key) for key in keys}
    assert {key for key in own if told[key] != told[f"{key}{WITHOUT_TEXTS}"]} == set()
    speaking = {
        key for key, text in told.items() if re.search(r"(?i)\b(?:mobile|portable|sms|text message)", text)
    }
    assert speaking == {"messages.by.sms"}, "how an earlier message went"


def test_the_simple_version_is_simple() -> None:
    for key in sorted(WORDINGS["simple"].keys):
        text = re.sub(
            r"\{(\w+)\}", lambda place: FILLED.get(place[1], "1"), WORDINGS["simple"]._messages.gettext(key)
        )
        for sentence in re.split(r"[.!?]\s", text.replace("\N{NO-BREAK SPACE}", " ")):
            words = [word for word in sentence.split() if re.search(r"\w", word)]
            assert len(words) <= WORDS_MAX, key
        if not key.startswith(FOR_OPERATORS):
            assert TOO_HARD.findall(text) == [], key


@pytest.mark.parametrize("language", LANGUAGES)
def test_how_long_something_lasts_is_filled_in(language: str) -> None:
    """A lifetime is a setting, and a sentence that names it in words would lie where another is set."""
    wording = WORDINGS[language]  # type: ignore[index]
    lasting = {
        key
        for key in wording.keys
        if not key.startswith("ops.") and A_WHILE.search(wording._messages.gettext(key))
    }
    assert lasting == set()


def test_a_moment_of_another_year_says_which() -> None:
    """A list of what is past goes back for years."""
    then, now = datetime(2025, 12, 4, 9, 20, tzinfo=UTC), datetime(2026, 12, 4, 9, 20, tzinfo=UTC)
    french, english = WORDINGS["fr"].at(lambda: 2026), WORDINGS["en"].at(lambda: 2026)
    assert french.moment(then) == "jeudi 4 décembre 2025 à 9\u00a0h\u00a020"
    assert french.moment(now) == "vendredi 4 décembre à 9\u00a0h\u00a020"
    assert english.moment(then) == "Thursday 4 December 2025 at 9:20\u00a0am"


def test_one_apostrophe_and_one_word_for_an_account() -> None:
    for wording in (WORDINGS["fr"], WORDINGS["simple"]):
        assert {key for key in wording.keys if "’" in wording._messages.gettext(key)} == set()
    english = {key: WORDINGS["en"]._messages.gettext(key) for key in WORDINGS["en"].keys}
    assert {
        k for k, text in english.items() if re.search(r"(?i)\blog(?:ged|ging)?[ -](?:in|out)\b", text)
    } == set()


def test_no_sentence_stands_in_a_template() -> None:
    """What is between tags is drawn from the catalogue or from data."""
    for path in SOURCES.rglob("*.html"):
        text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<!--.*?-->", "", path.read_text(), flags=re.DOTALL)
        text = re.sub(r"<[^>]*>", " ", text, flags=re.DOTALL)
        assert re.findall(r"[^\W\d_]{3,}", text) == [], path.name


SAYS = {
    "link.answer": "nom de naissance",
    "link.answer.hint": "De la personne qui a rendez-vous",
    "mine.none": "à venir",
    "journal.role.regulator": "accès aux soins",
    "legal.operator": "géré par",
    "privacy.who.text": "géré par",
    "record.identity": "prénom",
}
"""sentence of the simple version → words without which it would say, or ask, something else"""


@pytest.mark.parametrize("key", SAYS)
def test_what_the_simple_version_leaves_out_changes_nothing(key: str) -> None:
    assert SAYS[key] in WORDINGS["simple"]._messages.gettext(key)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_message_is_what_people_get_and_an_event_what_services_handle(language: str) -> None:
    """The operator's page tells of both."""
    told = {k: WORDINGS[language]._messages.gettext(k) for k in WORDINGS["fr"].keys}  # type: ignore[index]
    events = [
        k for k in told if k.startswith("ops.letters.") or k in ("ops.section.letters", "ops.line.letters")
    ]
    assert len(events) > 10
    assert [k for k in events if re.search(r"(?i)\bmessages?\b", told[k])] == []
