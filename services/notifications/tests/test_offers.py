"""What the waiting list offers: told at once by every channel, until its end and no longer, and not as an appointment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from creneau_notifications.channels.email.smtp import SmtpTransport
from creneau_notifications.channels.registry import CHANNELS
from creneau_notifications.channels.sms.render import SMS_CHARS, build_sms
from creneau_notifications.channels.sms.transport import LoggedSms
from creneau_notifications.domain.appointment import AppointmentEvent, Change
from creneau_notifications.domain.plan import Kind, plan
from creneau_notifications.rendering.letter import compose
from creneau_notifications.storage.snapshot import dump_event, load_event

from .factories import BOOKED_AT, CAMILLE, event, occasion, visit

UNTIL = BOOKED_AT + timedelta(hours=12)
BOTH = {name: channel.rules for name, channel in CHANNELS.items()}


def offered() -> AppointmentEvent:
    return replace(event(Change.OFFERED, status="pending"), held_until=UNTIL)


def test_it_is_told_at_once_by_every_channel_and_never_after_its_end() -> None:
    """A text message, too, which tells of no other change: this one waits for an answer."""
    made = offered()
    told = plan(made, known=None, now=made.time, zone=visit().zone, channels=BOTH).messages
    assert [(m.kind, m.channel, m.due_at, m.expires_at) for m in told] == [
        (Kind.OFFER, name, made.time, UNTIL) for name in BOTH
    ]
    assert not plan(made, known=None, now=UNTIL, zone=visit().zone, channels=BOTH).messages


def test_its_end_withdraws_what_was_not_sent_and_says_nothing() -> None:
    known = offered().appointment
    for change, status in (
        (Change.HOLD_EXPIRED, "waitlist"),
        (Change.UPDATED, "waitlist"),
        (Change.CANCELLED, "cancelled"),
    ):
        ended = event(change, number=2, version=2, status=status)
        found = plan(ended, known=known, now=ended.time, zone=visit().zone, channels=BOTH)
        assert (found.supersedes, found.messages) == (True, ())


def test_once_it_is_accepted_it_is_not_told_any_more() -> None:
    """Where the practice has to agree, the visit is kept for that; a text message that waits for the morning would offer it
    anew."""
    asked = event(Change.HELD, number=2, version=2, status="pending", awaited=True)
    found = plan(asked, known=offered().appointment, now=asked.time, zone=visit().zone, channels=BOTH)
    assert (found.supersedes, Kind.OFFER in found.withdraws, found.messages) == (True, True, ())


def test_it_says_until_when_and_where_to_answer() -> None:
    """In French and in English; a text message of one part, without a name."""
    french = compose(occasion(Kind.OFFER, event=offered()))
    assert "lundi 16 novembre à 23\u00a0h" in " ".join(french.lead)
    assert french.action[0] == "Accepter ou refuser"
    english = compose(occasion(Kind.OFFER, event=offered(), contact=replace(CAMILLE, language="en")))
    assert "kept for you until Monday 16 November at 11:00\u00a0pm" in " ".join(english.lead)
    assert not any("rendez-vous.ics" in remark for remark in (*french.remarks, *english.remarks))
    text = build_sms(occasion(Kind.OFFER, event=offered()))
    assert "gardé pour vous jusqu'au" in text
    assert len(text) <= 2 * SMS_CHARS
    assert "Lefèvre" not in text


def test_it_is_kept_as_it_was_told() -> None:
    assert load_event(dump_event(offered())) == offered()


async def test_nobody_is_woken_by_it(service, mailbox) -> None:
    """Offered at half past ten in the evening: the e-mail leaves, the text message in the morning."""
    await service.learn()
    night = datetime(2026, 11, 16, 21, 30, tzinfo=UTC)
    service.at(night)
    until = datetime(2026, 11, 17, 11, 0, tzinfo=UTC)
    await service.hear(replace(event(Change.OFFERED, status="pending", time=night), held_until=until))
    texts: list[str] = []

    class Phone(LoggedSms):
        async def send(self, number: str, text: str) -> None:
            texts.append(text)

    sender = service.sender(SmtpTransport(mailbox.url, tls="opportunistic", timeout_s=30), Phone())
    await sender.send_due()
    assert [mail["Subject"].startswith("Un créneau se libère") for mail in mailbox.mails] == [True]
    assert texts == []
    service.at(datetime(2026, 11, 17, 7, 0, tzinfo=UTC))
    await sender.send_due()
    assert len(texts) == 1
