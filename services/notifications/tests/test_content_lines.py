"""Lines of calendar files say what the library's say, and are never too long."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from icalendar import Event
from icalendar.parser import Contentline
from icalendar.prop import vText

from creneau_notifications.domain.contact import Contact
from creneau_notifications.rendering.calendar import attendee_line
from creneau_shared.content_lines import moment_line, raw_line, text_line

texts = st.text(alphabet=st.sampled_from("aé漢😀\\,;:\n\"' ^"), max_size=200)


@given(texts)
def test_a_text_is_escaped_as_the_library_escapes_it(value):
    line = text_line("SUMMARY", value)
    assert line.replace(b"\r\n ", b"") == b"SUMMARY:" + vText(value).to_ical() + b"\r\n"
    assert all(len(part) <= 75 for part in line.split(b"\r\n"))
    line.decode()


@given(texts)
def test_no_line_breaks_within_a_character_or_an_escape(value):
    *broken, _ = text_line("DESCRIPTION", value).removesuffix(b"\r\n").split(b"\r\n ")
    for part in broken:
        part.decode()
        assert (len(part) - len(part.rstrip(b"\\"))) % 2 == 0


def test_a_text_of_nothing_but_backslashes_comes_to_an_end():
    assert text_line("SUMMARY", "\\" * 100).replace(b"\r\n ", b"").count(b"\\") == 200


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/Cayenne", "UTC"])
def test_a_moment_names_its_zone_as_the_library_does(zone):
    moment = datetime(2026, 7, 1, 8, 5, tzinfo=ZoneInfo(zone))
    event = Event()
    event.add("dtstart", moment)
    assert moment_line("DTSTART", moment, zone) in event.to_ical()
    utc = datetime(2026, 7, 1, 8, 5, tzinfo=UTC)
    assert moment_line("DTSTART", utc, zone) == b"DTSTART:20260701T080500Z\r\n"


def test_a_value_cannot_bring_a_line_of_its_own():
    """An id or a link with a line break would be another property."""
    with pytest.raises(ValueError, match="line breaks"):
        raw_line("URL", "https://example.org\r\nATTENDEE:mailto:somebody@example.org")


@example("\\")
@given(
    st.text(
        alphabet=st.sampled_from("aéA 漢'’.-\"^,;:\\1") | st.characters(categories=["L", "Mn"]), max_size=70
    )
)
def test_an_attendee_is_read_as_the_library_writes_one(name):
    """Whatever the name is made of; most are written without the library."""
    contact = Contact("Patient/1", name, email="camille@exemple.fr")
    line = attendee_line(contact)
    assert all(len(part) <= 75 for part in line.split(b"\r\n"))
    told, parameters, value = Contentline.from_ical(line.replace(b"\r\n ", b"").strip(b"\r\n")).parts()
    assert (told, value) == ("ATTENDEE", "mailto:camille@exemple.fr")
    expected = {"CUTYPE": "INDIVIDUAL", "PARTSTAT": "ACCEPTED", "ROLE": "REQ-PARTICIPANT", "RSVP": "FALSE"}
    assert dict(parameters) == ({"CN": name.replace("\\", "/")} if name else {}) | expected
