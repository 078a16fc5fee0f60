"""What a patient reads: text, HTML, calendar file, text message."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from creneau_notifications.channels.email.frame import POLICY
from creneau_notifications.channels.email.render import PLAIN, build_email, header
from creneau_notifications.channels.sms.render import GSM_ALPHABET, build_sms, gsm
from creneau_notifications.domain.address import InvalidAddressError
from creneau_notifications.domain.appointment import Change, Mode, Occurrence
from creneau_notifications.domain.plan import Kind
from creneau_notifications.domain.visit import visit_of
from creneau_notifications.rendering.calendar import calendar_file
from creneau_notifications.rendering.letter import WITHOUT_CALENDAR

from .factories import (
    APPOINTMENT,
    CAMILLE,
    LOCATION,
    SITE,
    START,
    VISIT_TOKEN,
    appointment,
    event,
    occasion,
    visit,
)

GOLDEN = Path(__file__).parent / "golden"
MESSAGE = UUID("7d9c9a55-8b54-5c0e-9a53-000000000001")
SENT_AT = datetime(2026, 11, 16, 10, 0, 5, tzinfo=UTC)
SENDER = "ne-pas-repondre@creneau.example"
REUNION = ZoneInfo("Indian/Reunion")


def mail_of(made) -> EmailMessage:
    content = build_email(made, MESSAGE, SENT_AT, SENDER, "Créneau").content
    mail = message_from_bytes(content, policy=default)
    assert isinstance(mail, EmailMessage)
    return mail


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return body.get_content().replace("\r\n", "\n")


def html_of(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    assert body is not None
    return body.get_content()


def calendar_of(mail: EmailMessage) -> Calendar:
    [attachment] = mail.iter_attachments()
    return Calendar.from_ical(attachment.get_payload(decode=True))


def test_a_zone_that_there_is_not_counts_as_none():
    """Facts of before it was refused, or of another feed: whoever goes there is told all the same, by the other's clock."""
    wrong = replace(LOCATION, zone="Europe/Parys")
    told = visit_of(appointment(), {wrong.reference: wrong})
    assert (str(told.zone), told.zone_known) == ("Europe/Paris", False)


@pytest.mark.parametrize("kind", list(Kind))
def test_the_french_text_is_as_agreed(kind):
    """Every word that a French reader gets; a changed sentence must be meant."""
    changes = {Kind.CHANGE: Change.MOVED, Kind.CANCELLATION: Change.CANCELLED, Kind.OFFER: Change.OFFERED}
    change = changes.get(kind, Change.BOOKED)
    previous = START - timedelta(days=1) if kind is Kind.CHANGE else None
    by = "provider" if kind is Kind.CANCELLATION else None
    until = START - timedelta(days=5) if kind is Kind.OFFER else None
    proposed = START + timedelta(days=1, hours=2) if kind is Kind.PROPOSAL else None
    said = event(change, previous_start=previous, cancelled_by=by, held_until=until, proposed=proposed)
    mail = mail_of(occasion(kind, event=said))
    assert f"{mail['Subject']}\n\n{text_of(mail)}" == (GOLDEN / f"{kind}.fr.txt").read_text()


ENDED = [
    ("fr", "provider", "n’est pas acceptée", "n’a pas accepté votre demande"),
    ("fr", "system", "sans réponse", "n’a pas répondu à temps"),
    ("en", "provider", "is not accepted", "has not accepted your request"),
    ("en", "system", "had no answer", "did not answer your request"),
]


@pytest.mark.parametrize(("language", "by", "subject", "lead"), ENDED)
def test_a_request_that_comes_to_nothing_is_not_told_as_an_appointment_that_is_cancelled(
    language, by, subject, lead
):
    """Nothing had been booked; and no calendar takes off what it never held. Of a series as of one."""
    ended = event(Change.CANCELLED, cancelled_by=by, awaited=True)
    weeks = tuple(
        Occurrence(f"of-{n}", START + timedelta(weeks=n), START + timedelta(weeks=n, minutes=20), 0)
        for n in range(2)
    )
    contact = replace(CAMILLE, language=language)
    for told in (ended, replace(ended, together=weeks)):
        mail = mail_of(occasion(Kind.CANCELLATION, event=told, contact=contact))
        assert subject in mail["Subject"]
        assert lead in text_of(mail)
        for untrue in ("annulé", "cancelled", "n’aura pas lieu", "will not take place", ".ics"):
            assert untrue not in mail["Subject"] + text_of(mail)
        assert not list(mail.iter_attachments())


def test_what_had_been_booked_before_it_waited_is_cancelled_and_says_why():
    ended = event(Change.CANCELLED, cancelled_by="system", awaited=True, was_booked=True)
    mail = mail_of(occasion(Kind.CANCELLATION, event=ended))
    assert "est annulé" in mail["Subject"]
    assert "n’a pas répondu à temps" in text_of(mail)
    assert calendar_of(mail)["method"] == "CANCEL"


def test_the_headers_let_mail_systems_recognise_and_not_answer_the_message():
    mail = mail_of(occasion())
    assert mail["Message-ID"] == f"<{MESSAGE}@creneau.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == "fr"
    assert mail["Date"].datetime == SENT_AT
    assert mail["From"].addresses[0].display_name == "Créneau"
    assert mail["To"].addresses[0].addr_spec == "camille.martin@example.org"


def test_the_same_message_is_the_same_bytes_at_every_attempt_but_for_its_date():
    first = build_email(occasion(), MESSAGE, SENT_AT, SENDER, "Créneau").content
    again = build_email(occasion(), MESSAGE, SENT_AT, SENDER, "Créneau").content
    assert first == again
    first.decode("ascii")
    assert b"\n" not in first.replace(b"\r\n", b"")


def test_the_subject_is_discreet():
    for kind in Kind:
        subject = mail_of(occasion(kind))["Subject"]
        assert "Lefèvre" not in subject
        assert "Cabinet" not in subject


def test_an_english_reader_gets_english():
    mail = mail_of(occasion(contact=replace(CAMILLE, language="en-GB")))
    assert mail["Subject"] == "Your appointment on Tuesday 1 December at 10:00\u00a0am"
    assert "At the practice" in text_of(mail)
    assert '<html lang="en"' in html_of(mail)


def test_another_zone_is_said_and_paris_is_not():
    in_reunion = visit(zone=REUNION)
    assert mail_of(occasion(visit=in_reunion))["Subject"].endswith("à 13\u00a0h (heure de La Réunion)")
    assert "heure de" not in mail_of(occasion())["Subject"]


def test_who_lives_by_the_places_clock_is_told_the_time_alone():
    """In La Réunion for somebody from there; in Guadeloupe for somebody from Martinique, whose clock is the same."""
    for place, reader in (("Indian/Reunion", "Indian/Reunion"), ("America/Guadeloupe", "America/Martinique")):
        made = occasion(visit=visit(zone=ZoneInfo(place)), reader_zone=ZoneInfo(reader))
        mail = mail_of(made)
        assert "heure de" not in mail["Subject"] + text_of(mail) + html_of(mail)
        assert "heure de" not in str(calendar_of(mail).to_ical().decode())
        assert "(" not in build_sms(made)


def test_a_time_by_another_clock_names_its_zone_in_every_part_of_every_message():
    """Whoever lives in La Réunion and goes to Paris, and the other way round."""
    for place, reader, note in (
        ("Europe/Paris", "Indian/Reunion", "à 10\u00a0h (heure de Paris)"),
        ("Indian/Reunion", "Europe/Paris", "à 13\u00a0h (heure de La Réunion)"),
    ):
        for kind in Kind:
            told = event(previous_start=START - timedelta(days=1))
            made = occasion(kind, event=told, visit=visit(zone=ZoneInfo(place)), reader_zone=ZoneInfo(reader))
            mail = mail_of(made)
            parts = [mail["Subject"], text_of(mail), html_of(mail)]
            if kind not in WITHOUT_CALENDAR:
                parts += [str(event["description"]) for event in calendar_of(mail).events]
            assert [part for part in parts if note not in part] == []
            times = text_of(mail).count("\u00a0h ")
            assert text_of(mail).count("(heure de") == times > 0, "each time, that of before too"


def test_in_winter_a_reader_whose_clock_is_the_same_needs_no_zone_and_in_summer_does():
    """The moment decides: Tunis has the time of Paris in winter alone."""
    tunis = ZoneInfo("Africa/Tunis")
    assert "heure de" not in mail_of(occasion(reader_zone=tunis))["Subject"]
    summer = event(start=datetime(2027, 7, 1, 8, 0, tzinfo=UTC))
    assert "(heure de Paris)" in mail_of(occasion(event=summer, reader_zone=tunis))["Subject"]


def test_a_place_whose_zone_is_unknown_is_told_in_paris_time_and_says_so():
    unknown = visit(zone_known=False, place=None, address=(), phone=None, professional=None)
    mail = mail_of(occasion(visit=unknown))
    assert mail["Subject"].endswith("à 10\u00a0h (heure de Paris)")
    assert "France services" in text_of(mail)


def test_a_video_visit_has_no_address_and_says_how():
    mail = mail_of(occasion(visit=visit(mode=Mode.VIDEO)))
    assert "En téléconsultation" in text_of(mail)
    assert "rue des Exemples" not in text_of(mail)


class Tags(HTMLParser):
    """Collects the tags of a page with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_fetches_nothing_and_links_only_to_the_appointment():
    html = html_of(mail_of(occasion()))
    tags = Tags()
    tags.feed(html)
    assert not {tag for tag, _ in tags.found} & {"img", "script", "link", "iframe", "style", "object"}
    assert "url(" not in html
    assert [a["href"] for tag, a in tags.found if tag == "a"] == [f"{SITE}/rdv/{VISIT_TOKEN}"]
    assert [tag for tag, a in tags.found if tag == "th" and a.get("scope") != "row"] == []


def test_text_and_page_say_the_same():
    mail = mail_of(occasion())
    words = re.sub(r"<[^>]+>", " ", html_of(mail).split("<main")[1])
    for line in ("Dr Agathe Lefèvre", "12 rue des Exemples", "01 99 00 00 01", "mardi 1er décembre 2026"):
        assert line in words
        assert line in text_of(mail)


def test_markup_in_a_name_is_not_repeated():
    html = html_of(mail_of(occasion(contact=replace(CAMILLE, name="<script>alert(1)</script>"))))
    assert "script" not in html
    assert "Bonjour," in html


@pytest.mark.parametrize(
    "name", ["Eve\r\nBcc: victim@example.org", "Eve\nX-Evil: 1", "Eve\x00\x0b\u2028Bcc: x@y.fr"]
)
def test_no_header_can_be_injected_through_a_name(name):
    mail = mail_of(occasion(contact=replace(CAMILLE, name=name)))
    assert mail["Bcc"] is None
    assert mail["X-Evil"] is None
    assert [a.addr_spec for a in mail["To"].addresses] == ["camille.martin@example.org"]


@given(st.text())
def test_no_text_breaks_out_of_a_header(text):
    mail = mail_of(occasion(contact=replace(CAMILLE, name=text)))
    assert len(mail["To"].addresses) == 1
    assert mail["To"].addresses[0].addr_spec == "camille.martin@example.org"
    assert mail["Bcc"] is None


@given(st.text(alphabet=st.sampled_from("aA1 .,;:=?_@<>\"'()-"), max_size=90))
def test_a_header_that_needs_no_breaks_is_written_as_the_library_writes_it(value):
    assert header("Subject", value) == POLICY.fold_binary("Subject", value)


@pytest.mark.parametrize("value", ["a\r\nBcc: b@c.fr", "a\n", "\x00", "é", " a", "a "])
def test_what_a_header_cannot_hold_is_left_to_the_library(value):
    assert not PLAIN.fullmatch(value)


@pytest.mark.parametrize("address", [None, "", "camille", "a@b", "a@b.fr\r\nBcc: c@d.fr", "a@b.fr, c@d.fr"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InvalidAddressError):
        mail_of(occasion(contact=replace(CAMILLE, email=address)))


# -- calendar ------------------------------------------------------------------------------------------------


def test_the_calendar_file_is_attached_and_offered_to_calendars():
    mail = mail_of(occasion())
    [attachment] = mail.iter_attachments()
    assert attachment.get_filename() == "rendez-vous.ics"
    parts = [part for part in mail.walk() if part.get_content_type() == "text/calendar"]
    assert len(parts) == 2
    for part in parts:
        assert (part.get_param("method"), part.get_content_charset()) == ("REQUEST", "utf-8")


def test_the_calendar_file_reads_back_with_local_times_and_its_zone():
    calendar = calendar_of(mail_of(occasion()))
    [appointment] = calendar.events
    assert calendar["method"] == "REQUEST"
    assert appointment["uid"] == f"{APPOINTMENT}@creneau"
    assert appointment["sequence"] == 0
    assert appointment["dtstart"].params["TZID"] == "Europe/Paris"
    assert appointment.start == START
    assert appointment.start.hour == 10
    assert appointment.end - appointment.start == timedelta(minutes=20)
    assert appointment["location"] == "Cabinet médical du Marais, 12 rue des Exemples, 75004 Paris"
    assert (appointment["geo"].latitude, appointment["geo"].longitude) == (48.8566, 2.3575)
    assert appointment["attendee"] == "mailto:camille.martin@example.org"
    assert appointment["attendee"].params["RSVP"] == "FALSE"
    assert appointment["organizer"] == f"mailto:{SENDER}"
    assert [alarm["trigger"].dt for alarm in appointment.walk("VALARM")] == [
        timedelta(days=-1),
        timedelta(hours=-2),
    ]
    assert [zone["tzid"] for zone in calendar.timezones] == ["Europe/Paris"]


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("Europe/Paris", datetime(2026, 3, 29, 8, 0, tzinfo=UTC)),
        ("Europe/Paris", datetime(2026, 10, 25, 8, 0, tzinfo=UTC)),
        ("Indian/Reunion", datetime(2026, 7, 1, 8, 0, tzinfo=UTC)),
        ("America/Miquelon", datetime(2026, 3, 8, 15, 0, tzinfo=UTC)),
        ("Pacific/Noumea", datetime(2026, 12, 31, 20, 0, tzinfo=UTC)),
    ],
)
def test_a_calendar_that_knows_no_zones_finds_the_instant_through_the_file_alone(zone, start):
    """The VTIMEZONE alone, under a name that no zone database has, gives the same instant."""
    made = occasion(event=event(start=start), visit=visit(zone=ZoneInfo(zone)))
    [attachment] = mail_of(made).iter_attachments()
    unknown = f"Unknown-{start:%Y%m%d%H}".encode()
    content = attachment.get_payload(decode=True).replace(zone.encode(), unknown)
    [appointment] = Calendar.from_ical(content).events
    assert appointment.start.astimezone(UTC) == start


def test_a_cancellation_takes_the_same_appointment_off_the_calendar():
    made = occasion(Kind.CANCELLATION, event=event(Change.CANCELLED, sequence=3))
    calendar = calendar_of(mail_of(made))
    [appointment] = calendar.events
    assert (calendar["method"], appointment["status"]) == ("CANCEL", "CANCELLED")
    assert (appointment["uid"], appointment["sequence"]) == (f"{APPOINTMENT}@creneau", 3)
    assert not list(appointment.walk("VALARM"))


def test_a_reminder_carries_no_calendar_file():
    assert not [p for p in mail_of(occasion(Kind.REMINDER)).walk() if p.get_content_type() == "text/calendar"]


# -- text messages -------------------------------------------------------------------------------------------


def test_a_text_message_is_short_discreet_and_leads_to_where_one_cancels():
    text = build_sms(occasion(Kind.REMINDER))
    assert text == (
        f"Rappel : rendez-vous mardi 1er décembre à 10 h. Vous ne venez pas ? {SITE}/rdv/{VISIT_TOKEN}"
    )
    assert len(text) <= 160


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_zone_of_a_text_message_stays_within_one_message(language):
    there = visit(zone=REUNION)
    contact = replace(CAMILLE, language=language)
    text = build_sms(occasion(Kind.CONFIRMATION, visit=there, contact=contact))
    assert len(text) <= 160
    assert ("(La Réunion)" if language == "fr" else "(Réunion") in text
    short = replace(occasion(Kind.REMINDER, visit=there, contact=contact), site_url="https://r.fr")
    assert ("(heure de La Réunion)" if language == "fr" else "(Réunion time)") in build_sms(short)


@given(st.text())
def test_a_text_message_keeps_to_its_alphabet(text):
    assert set(gsm(text)) <= GSM_ALPHABET


def test_letters_outside_the_alphabet_become_their_nearest():
    assert gsm("Cœur à l’hôpital – rêve") == "Coeur à l'hopital - reve"


@pytest.mark.parametrize("minute", [0, 30, 60, 90, 120])
def test_every_instant_of_the_repeated_hour_is_told_apart(minute: int) -> None:
    """The night of 25 October 2026 in Paris: 02:30 comes twice, and a bare local time means the first of them."""
    start = datetime(2026, 10, 25, 0, 0, tzinfo=UTC) + timedelta(minutes=minute)
    told = occasion(event=event(start=start, end=start + timedelta(minutes=20)), visit=visit())
    calendar = Calendar.from_ical(calendar_file(told, "rdv@example.org", "Créneau"))
    (component,) = calendar.walk("VEVENT")
    for name, instant in (("dtstart", start), ("dtend", start + timedelta(minutes=20))):
        said = component[name].dt
        read = said if said.tzinfo is UTC or "TZID" not in component[name].params else said.replace(fold=0)
        assert read.astimezone(UTC) == instant, name


@pytest.mark.parametrize(("instant", "which"), [("00:30", "été"), ("01:30", "hiver")])
def test_what_is_read_tells_the_repeated_hour_apart(instant: str, which: str) -> None:
    """In the e-mail, its subject and the text message."""
    start = datetime.fromisoformat(f"2027-10-31T{instant}Z")
    told = occasion(event=event(start=start, end=start + timedelta(minutes=20)), visit=visit())
    mail = mail_of(told)
    said = f"2 h 30 (heure d'{which})"
    for read in (text_of(mail), mail["subject"], build_sms(told)):
        assert said in read.replace("\u00a0", " ")
