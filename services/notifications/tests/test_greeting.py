"""Names in messages: a stranger's letter box gets nobody's words but ours."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from creneau_notifications.domain.greeting import NAME_CHARS_MAX, WORDS_MAX, addressed_as

from .factories import CAMILLE, occasion
from .test_rendering import calendar_of, html_of, mail_of, text_of

names = st.text(
    st.one_of(st.characters(), st.sampled_from(".:/@-'’ aeé\u200b\u202e\n<>0１．。")), max_size=90
)


@pytest.mark.parametrize(
    "name",
    [
        "Camille Martin",
        "Marie-Charlotte de La Rochefoucauld-Liancourt",
        "N’Golo Kanté",
        "Jeanne d'Arc",
        "J.-P. Dupont",
        "Dr. É. Nguyễn",
        "Mme Le Guen",
        "Ольга Петрова",
        "مريم بن علي",
        "अनुष्का शर्मा",
        "Łukasz Ó Súilleabháin",
        "O'",
    ],
)
def test_names_of_people_are_greeted_as_they_are(name):
    assert addressed_as(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " \n\t\u200b\u2060",
        "http://evil.example/ win",
        "visit evil.com now",
        "www.evil.com",
        "t.co",
        "evil．ｃｏｍ",
        "evil。com",
        "evil\u200b.\u200bcom",
        "evil.com.",
        "mailto:eve@evil.example",
        "eve@evil.example",
        "evil/path",
        "<b>Camille</b>",
        "Camille &amp;",
        "[Camille](x)",
        "Appelez le 0899 12 34 56",
        "Appelez le ٠٨٩٩",
        "Camille 🎁🎁🎁",
        "🎁" * 40,
        "Z\u0300\u0301\u0302\u0303\u0304algo",
        "Eve\r\nBcc: victim@example.org",
        "A" * (NAME_CHARS_MAX + 1),
        "a" * 10_000,
        "un deux trois quatre cinq six sept",
        "{{ 7 * 7 }}",
        "%s",
        "...",
        "-",
    ],
)
def test_what_is_no_name_is_not_repeated_in_part_either(name):
    assert addressed_as(name) is None


def test_line_breaks_and_what_cannot_be_seen_do_not_stay():
    assert addressed_as("  Camille\r\n\u2028Martin\u202e\u200b ") == "Camille Martin"
    assert addressed_as("Ｃａｍｉｌｌｅ") == "Camille"


@given(names)
@example("evil.co")
@example("a.b.co")
def test_no_greeting_holds_a_link_a_number_or_a_line_break(name):
    greeted = addressed_as(name)
    if greeted is None:
        return
    assert 0 < len(greeted) <= NAME_CHARS_MAX
    assert len(greeted.split(" ")) <= WORDS_MAX
    assert re.search(r"\w\.\w{2}|[:/@<>&#%{}\d\r\n]", greeted) is None
    assert {unicodedata.category(c)[0] for c in greeted} <= {"L", "M", "P", "Z"}
    assert {c for c in greeted if unicodedata.category(c)[0] in "PZ"} <= set(" -'’.")
    assert addressed_as(greeted) == greeted, "greeted again, it stays"


@given(names)
def test_a_mail_greets_by_a_name_or_by_none(name):
    """Nobody reads "Bonjour ,", and what is not greeted stands nowhere else in the message either."""
    mail = mail_of(occasion(contact=replace(CAMILLE, name=name)))
    greeted = addressed_as(name)
    greeting = "Bonjour," if greeted is None else f"Bonjour {greeted},"
    assert text_of(mail).splitlines()[0] == greeting
    [attendee] = [event["attendee"] for event in calendar_of(mail).events]
    assert attendee == "mailto:camille.martin@example.org"
    if greeted is None:
        assert "CN" not in attendee.params
        assert mail["To"].addresses[0].display_name == ""


@pytest.mark.parametrize(
    ("name", "language", "greeting"),
    [
        ("", "fr", "Bonjour,"),
        (" \u200b", "fr", "Bonjour,"),
        ("", "en", "Hello,"),
        (" Dupont ", "fr", "Bonjour Dupont,"),
        ("Camille  Dupont", "en", "Hello Camille Dupont,"),
    ],
)
def test_a_greeting_has_no_hole_where_a_name_is_missing(name, language, greeting):
    mail = mail_of(occasion(contact=replace(CAMILLE, name=name, language=language)))
    assert text_of(mail).splitlines()[0] == greeting
    assert f">{greeting}<" in html_of(mail)


def test_a_hostile_name_stands_nowhere_in_the_message():
    name = 'evil.example";X="http://evil.example/'
    mail = mail_of(occasion(contact=replace(CAMILLE, name=name)))
    whole = [str(mail), html_of(mail), text_of(mail), calendar_of(mail).to_ical().decode()]
    assert not [part for part in whole if "evil" in part]
