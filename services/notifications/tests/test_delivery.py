"""Delivery to a real SMTP server, with its faults, on a real database."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from icalendar import Calendar

from creneau_notifications.channels.channel import DeliveryError
from creneau_notifications.channels.email.channel import EmailCarrier
from creneau_notifications.channels.email.smtp import SmtpTransport
from creneau_notifications.channels.email.transport import LoggedEmails
from creneau_notifications.channels.registry import CHANNELS
from creneau_notifications.delivery import sender as sender_module
from creneau_notifications.delivery.ledger import Ledger, Outcome
from creneau_notifications.delivery.sender import FRESH_FOR
from creneau_notifications.domain.appointment import Change
from creneau_notifications.storage import messages
from creneau_notifications.storage.messages import Attempt, Claimed, Closing, Message, Postponement, Status
from creneau_shared.database.wakeups import Bell

from .conftest import SENDER
from .factories import BOOKED_AT, CAMILLE, LOCATION, PRACTITIONER, START, event
from .mailbox import open_mailbox

HOUR_S = 3600.0
BY_E_MAIL = replace(CAMILLE, phone=None)
"""reached in no other way"""


async def confirmation_id(service):
    return await service.database.pool.fetchval("SELECT id FROM message WHERE kind = 'confirmation'")


async def claimed_by_another(service) -> Message:
    """The message that is due, in the hands of another sender for five minutes."""
    now = service.clock.now()
    async with service.database.transaction() as connection:
        [message] = await messages.look_for_due(connection, now, 1, CHANNELS)
        await messages.claim(connection, [Claimed(message, None)], now + timedelta(minutes=5))
    return message


async def test_a_confirmation_arrives_once_with_its_calendar_file(service, mailbox):
    await service.learn()
    await service.hear(event())
    sender = service.smtp_sender(mailbox)
    assert await sender.send_due() == 1
    assert await sender.send_due() == 0
    [mail] = mailbox.mails
    message = await confirmation_id(service)
    assert mail["Message-ID"] == f"<{message}@creneau.example>"
    assert [part.get_filename() for part in mail.iter_attachments()] == ["rendez-vous.ics"]
    assert await service.attempts() == [("accepted", None, mail["Message-ID"])]
    communication = await service.communication(message)
    assert communication["status"] == "completed"
    assert communication["sent"] == "2026-11-16T10:00:00.000Z"


async def test_reminders_leave_at_their_time_and_text_messages_by_their_own_way(service, mailbox):
    await service.learn()
    await service.hear(event())
    sender = service.smtp_sender(mailbox)
    for days_before in (7, 2):
        service.at(START - timedelta(days=days_before, seconds=1))
        await sender.send_due()
        subjects = [mail["Subject"] for mail in mailbox.mails]
        service.at(START - timedelta(days=days_before))
        await sender.send_due()
        assert len(mailbox.mails) == len(subjects) + 1
        assert mailbox.mails[-1]["Subject"].startswith("Rappel")
    service.at(START - timedelta(hours=2))
    await sender.send_due()
    assert (await service.statuses())["2-hours"] == ("sent", None)
    assert (await service.statuses())["7-days"] == ("sent", None)


async def test_refused_connections_are_tried_again_until_the_server_is_back(service):
    await service.learn()
    await service.hear(event())
    async with open_mailbox() as gone:
        port = gone.port
    sender = service.sender(SmtpTransport(f"smtp://127.0.0.1:{port}", tls="opportunistic", timeout_s=30))
    await sender.send_due()
    assert (await service.statuses())["confirmation"] == ("planned", None)
    assert await sender.send_due() == 0, "not before its pause is over"
    async with open_mailbox(port) as back:
        service.clock.advance(timedelta(seconds=15))
        assert await sender.send_due() == 1
        assert len(back.mails) == 1
    assert [result for result, _, _ in await service.attempts()] == ["deferred", "accepted"]


async def test_a_passing_refusal_is_tried_again_with_the_same_message_id(service, mailbox):
    await service.learn()
    await service.hear(event())
    mailbox.faults = ["RCPT 451 4.7.1 greylisted", "DATA 452 4.3.1 full"]
    sender = service.smtp_sender(mailbox)
    for pause_s in (0, 15, 30):
        service.clock.advance(timedelta(seconds=pause_s))
        assert await sender.send_due() == 1
    attempts = await service.attempts()
    assert [(result, code) for result, code, _ in attempts] == [
        ("deferred", 451),
        ("deferred", 452),
        ("accepted", None),
    ]
    assert {message_id for _, _, message_id in attempts} == {mailbox.mails[0]["Message-ID"]}
    assert len(mailbox.mails) == 1


async def test_a_message_between_attempts_is_in_progress(service, mailbox):
    await service.learn()
    await service.hear(event())
    mailbox.faults = ["DATA 451 later"]
    await service.smtp_sender(mailbox).send_due()
    assert (await service.communication(await confirmation_id(service)))["status"] == "in-progress"


RELAY_REFUSALS = [
    "RCPT 554 5.7.1 <mail.test[192.0.2.1]>: Relay access denied",
    "RCPT 553 5.7.1 <ne-pas-repondre@creneau.example>: Sender address rejected: not owned by user",
    "RCPT 550 5.7.1 Client host rejected",
    "RCPT 530 5.7.0 Must issue a STARTTLS command first",
    "RCPT 530 Authentication required",
    "RCPT 535 Not logged in",
    "RCPT 554 Client host rejected",
    "RCPT 550 5.1.8 Sender address rejected: Domain not found",
    "RCPT 550 5.1.7 Bad sender",
    "RCPT 501 5.1.7 Bad sender address syntax",
    "RCPT 504 5.5.2 Helo command rejected: need fully-qualified hostname",
    "RCPT 503 5.5.1 Sender needed",
    "RCPT 552 5.3.4 Message size exceeds limit",
    "DATA 554 5.5.1 No valid recipients",
    "DATA 554 5.7.8 Not logged in",
]
"""what a relay says of whoever hands it messages"""


@pytest.mark.parametrize("fault", RELAY_REFUSALS)
async def test_a_refusal_of_this_deployment_by_its_own_relay_loses_no_message(service, mailbox, fault):
    """An allow-list that was changed over a weekend: once it is mended, all that waited leaves."""
    await service.learn()
    await service.hear(event())
    mailbox.faults = [fault] * 5
    sender = service.smtp_sender(mailbox, attempts_max=3)
    for _ in range(6):
        assert await sender.send_due() == 1
        service.clock.advance(timedelta(hours=1, minutes=15))
    assert [(result, code) for result, code, _ in await service.attempts()] == [
        *[("deferred", int(fault[5:8]))] * 5,
        ("accepted", None),
    ]
    assert len(mailbox.mails) == 1


LASTING_REFUSALS = [
    "RCPT 550 5.1.1 no such user",
    "RCPT 550 5.1.2 no such domain",
    "RCPT 501 5.1.3 bad recipient address syntax",
    "RCPT 556 5.1.10 a null MX",
    "RCPT 552 5.2.2 mailbox full for good",
    "RCPT 550 5.4.1 access denied, no such address",
    "RCPT 550 no such user",
    "RCPT 553 mailbox name not allowed",
    "DATA 554 5.7.1 not wanted",
    "DATA 554 5.6.0 malformed",
    "DATA 550 5.1.1 no such user",
    "DATA 554 not wanted",
]
"""what is said of a recipient, or of a message"""


@pytest.mark.parametrize("fault", LASTING_REFUSALS)
async def test_a_lasting_refusal_is_final(service, mailbox, fault):
    await service.learn()
    await service.hear(event())
    mailbox.faults = [fault]
    sender = service.smtp_sender(mailbox)
    await sender.send_due()
    service.clock.advance(timedelta(hours=2))
    assert await sender.send_due() == 0
    assert (await service.statuses())["confirmation"] == ("failed", "refused")
    assert [(result, code) for result, code, _ in await service.attempts()] == [("refused", int(fault[5:8]))]
    communication = await service.communication(await confirmation_id(service))
    assert communication["status"] == "not-done"
    assert communication["statusReason"]["text"] == "Refusé par le serveur du destinataire"


async def test_a_connection_lost_after_the_data_is_repeated_recognisably(service, mailbox):
    """Nobody knows whether the server took the first one: the second has the same Message-ID."""
    await service.learn()
    await service.hear(event())
    mailbox.faults = ["drop"]
    sender = service.smtp_sender(mailbox)
    await sender.send_due()
    service.clock.advance(timedelta(seconds=15))
    await sender.send_due()
    assert len(mailbox.mails) == 2
    assert len({mail["Message-ID"] for mail in mailbox.mails}) == 1
    assert [result for result, _, _ in await service.attempts()] == ["deferred", "accepted"]


async def test_tries_that_come_to_no_server_do_not_count(service, mailbox):
    """Ours is away, or lets us in no more: once that is mended, all that is still of use leaves."""
    await service.learn()
    await service.hear(event())
    async with open_mailbox() as gone:
        port = gone.port
    away = service.sender(
        SmtpTransport(f"smtp://127.0.0.1:{port}", tls="opportunistic", timeout_s=30), attempts_max=3
    )
    for _ in range(5):
        assert await away.send_due() == 1
        service.clock.advance(timedelta(hours=1, minutes=15))
    assert len(await service.attempts()) == 5
    mailbox.faults = ["DATA 451 later"] * 2
    back = service.smtp_sender(mailbox, attempts_max=3)
    for _ in range(3):
        assert await back.send_due() == 1
        service.clock.advance(timedelta(hours=1, minutes=15))
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize("fault", ["MAIL 530 5.7.0 Authentication required", "hang up"])
async def test_a_sender_that_is_let_in_no_more_gives_nothing_up(service, mailbox, fault):
    await service.learn()
    await service.hear(event())
    mailbox.faults = [fault] * 5
    sender = service.smtp_sender(mailbox, attempts_max=3)
    for _ in range(6):
        assert await sender.send_due() == 1
        service.clock.advance(timedelta(hours=1, minutes=15))
    assert len(mailbox.mails) == 1


async def test_a_message_that_may_have_arrived_each_time_is_repeated_a_few_times_only(service, mailbox):
    await service.learn()
    await service.hear(event())
    mailbox.faults = ["drop"] * 40
    sender = service.smtp_sender(mailbox, attempts_max=30)
    while await sender.send_due():
        service.clock.advance(timedelta(hours=1, minutes=15))
    assert len(mailbox.mails) == 10
    assert (await service.statuses())["confirmation"] == ("failed", "exhausted")


async def test_attempts_end(service, mailbox):
    await service.learn()
    await service.hear(event())
    mailbox.faults = ["DATA 451 later"] * 9
    sender = service.smtp_sender(mailbox, attempts_max=3)
    for _ in range(5):
        await sender.send_due()
        service.clock.advance(timedelta(hours=1))
    assert len(await service.attempts()) == 3
    assert (await service.statuses())["confirmation"] == ("failed", "exhausted")


class Crashing(SmtpTransport):
    """Ends its sender when the server has got a message."""

    async def send(self, sender, recipient, content):
        await super().send(sender, recipient, content)
        raise asyncio.CancelledError


async def crash_while_sending(service, mailbox) -> None:
    """A sender ends with the message in hand; its lease runs out."""
    crashing = Crashing(mailbox.url, tls="opportunistic", timeout_s=30)
    with pytest.raises(asyncio.CancelledError):
        await service.sender(crashing).send_due()
    await crashing.close()
    service.clock.advance(timedelta(minutes=5))


async def test_a_crash_between_sending_and_putting_down_repeats_with_the_same_message_id(service, mailbox):
    await service.learn()
    await service.hear(event())
    other = service.smtp_sender(mailbox)
    crashing = Crashing(mailbox.url, tls="opportunistic", timeout_s=30)
    with pytest.raises(asyncio.CancelledError):
        await service.sender(crashing).send_due()
    await crashing.close()
    assert (await service.statuses())["confirmation"] == ("sending", None)
    assert await other.send_due() == 0, "the lease still holds"
    service.clock.advance(timedelta(minutes=5))
    assert await other.send_due() == 1
    assert len({mail["Message-ID"] for mail in mailbox.mails}) == 1
    assert len(mailbox.mails) == 2
    assert [result for result, _, _ in await service.attempts()] == ["interrupted", "accepted"]


async def test_a_try_that_was_broken_off_counts_as_one_whose_answer_was_lost(service, mailbox):
    """It may be one copy more, as the other: repeated a few times only, together."""
    await service.learn()
    await service.hear(event())
    await crash_while_sending(service, mailbox)
    mailbox.faults = ["drop"] * 9
    sender = service.smtp_sender(mailbox, attempts_max=9)
    while await sender.send_due():
        service.clock.advance(timedelta(hours=1, minutes=15))
    assert len(mailbox.mails) == 3
    assert (await service.statuses())["confirmation"] == ("failed", "exhausted")


async def test_a_broken_off_try_counts_also_where_its_message_is_put_off(service, mailbox):
    """The address was taken away meanwhile, and comes back."""
    await service.learn()
    await service.hear(event())
    await crash_while_sending(service, mailbox)
    await service.database.pool.execute("DELETE FROM recipient")
    mailbox.faults = ["drop"] * 9
    sender = service.smtp_sender(mailbox, attempts_max=6)
    assert await sender.send_due() == 1
    assert (await service.statuses())["confirmation"] == ("planned", None)
    await service.learn()
    service.clock.advance(timedelta(hours=1))
    await sender.send_due()
    assert len(mailbox.mails) == 2
    assert (await service.statuses())["confirmation"] == ("failed", "exhausted")


async def test_crashes_of_senders_and_an_outage_lose_no_message(service, mailbox):
    await service.learn()
    await service.hear(event())
    for _ in range(4):
        await crash_while_sending(service, mailbox)
    mailbox.faults = ["MAIL 530 5.7.0 Authentication required"]
    sender = service.smtp_sender(mailbox, attempts_max=3)
    await sender.send_due()
    assert (await service.statuses())["confirmation"] == ("planned", None)
    service.clock.advance(timedelta(hours=1, minutes=15))
    await sender.send_due()
    assert (await service.statuses())["confirmation"] == ("sent", None)


async def test_a_sender_whose_lease_ran_out_changes_nothing_any_more(service, mailbox):
    await service.learn()
    await service.hear(event())
    slow = await claimed_by_another(service)
    service.clock.advance(timedelta(minutes=5))
    await service.smtp_sender(mailbox).send_due()
    async with service.database.transaction() as connection:
        assert await messages.finish(connection, [(slow, Postponement(START))], service.clock.now()) == []
        await messages.release(connection, [slow], START)
    assert (await service.statuses())["confirmation"] == ("sent", None)


async def test_a_visit_that_is_cancelled_with_its_professional_is_told_as_it_was(service, mailbox):
    """Their deletion comes first. The message says with whom and where all the same, by the clock of there, and at once."""
    far = replace(LOCATION, zone="Indian/Reunion")
    await service.learn(facts=(PRACTITIONER, far))
    await service.hear(event())
    sender = service.smtp_sender(mailbox)
    await sender.send_due()
    async with service.database.transaction() as connection:
        for gone in (PRACTITIONER, far):
            await service.notifications.fact_deleted(connection, gone.reference, service.clock.now())
    await service.hear(event(Change.CANCELLED, 2, version=2))
    await sender.send_due()
    text = mailbox.mails[-1].get_body(("plain",)).get_content()
    assert PRACTITIONER.name in text
    assert far.name in text
    assert "(heure de La Réunion)" in text


async def test_what_is_cancelled_before_it_leaves_does_not_leave(service, mailbox):
    await service.learn()
    await service.hear(event())
    await service.hear(event(Change.CANCELLED, 2, version=2, cancelled_by="patient"))
    sender = service.smtp_sender(mailbox)
    while await sender.send_due():
        pass
    [mail] = mailbox.mails
    assert "annulé" in mail["Subject"]
    service.at(START - timedelta(hours=2))
    assert await sender.send_due() == 0


async def test_what_was_moved_to_where_it_waits_and_is_then_cancelled_leaves_the_calendar(service, mailbox):
    """By the same UID and a later SEQUENCE, though the patient withdraws it themselves."""
    await service.learn()
    other = START + timedelta(days=1)
    await service.hear(event())
    await service.smtp_sender(mailbox).send_due()
    asked = {"status": "pending", "awaited": True, "start": other}
    await service.hear(event(Change.UPDATED, 2, version=2, sequence=1, **asked))
    await service.hear(event(Change.UPDATED, 3, version=3, sequence=2, **asked))
    withdrawn = {"cancelled_by": "patient", "awaited": True, "start": other}
    await service.hear(event(Change.CANCELLED, 4, version=4, sequence=3, **withdrawn))
    await service.smtp_sender(mailbox).send_due()
    files = [next(mail.iter_attachments()).get_content() for mail in mailbox.mails]
    entered, taken_off = (Calendar.from_ical(file) for file in files)
    assert (entered["METHOD"], taken_off["METHOD"]) == ("REQUEST", "CANCEL")
    [before], [after] = entered.walk("VEVENT"), taken_off.walk("VEVENT")
    assert before["UID"] == after["UID"]
    assert (before["SEQUENCE"], after["SEQUENCE"]) == (0, 3)


async def test_what_is_superseded_while_it_is_sent_is_not_tried_again(service, mailbox):
    await service.learn()
    await service.hear(event())
    claimed = await claimed_by_another(service)
    await service.hear(event(Change.CANCELLED, 2, version=2))
    async with service.database.transaction() as connection:
        [closed] = await messages.finish(connection, [(claimed, Postponement(START))], service.clock.now())
    assert (closed.status, closed.reason) == ("cancelled", "superseded")


async def test_a_deadline_that_passed_closes_the_message_untried(service, mailbox):
    await service.learn()
    await service.hear(event())
    service.at(START)
    sender = service.smtp_sender(mailbox)
    while await sender.send_due():
        pass
    assert mailbox.mails == []
    assert set((await service.statuses()).values()) == {("expired", "too-late")}
    assert await service.attempts() == []


async def test_a_message_waits_for_its_contact_and_leaves_when_it_comes(service, mailbox):
    await service.hear(event())
    sender = service.smtp_sender(mailbox)
    assert await sender.send_due() == 1
    assert (await service.statuses())["confirmation"] == ("planned", None)
    service.clock.advance(timedelta(seconds=2))
    await service.learn()
    await sender.send_due()
    assert len(mailbox.mails) == 1
    [row] = [r for r in await service.messages() if r["kind"] == "confirmation"]
    assert row["attempts"] == 1, "waiting is no attempt"


async def test_whoever_is_heard_of_hours_later_is_told_all_the_same(service, mailbox):
    """The contacts are behind: it is looked for now and then, as long as the message is of use."""
    await service.hear(event())
    sender = service.smtp_sender(mailbox)
    for passed in (timedelta(0), timedelta(seconds=60), timedelta(hours=5)):
        service.clock.advance(passed)
        assert await sender.send_due() == 1
        assert (await service.statuses())["confirmation"] == ("planned", None)
    await service.learn()
    service.clock.advance(timedelta(minutes=10))
    await sender.send_due()
    assert len(mailbox.mails) == 1


async def test_a_contact_that_does_not_come_as_long_as_the_message_is_of_use_is_said_to_be_missing(
    service, mailbox
):
    await service.hear(event())
    sender = service.smtp_sender(mailbox)
    service.clock.advance(timedelta(hours=72) - timedelta(seconds=1))
    await sender.send_due()
    service.clock.advance(timedelta(seconds=1))
    await sender.send_due()
    assert (await service.statuses())["confirmation"] == ("failed", "no-contact")
    communication = await service.communication(await confirmation_id(service))
    assert communication["statusReason"]["coding"][0]["code"] == "recipient-unavailable"
    service.clock.advance(timedelta(hours=1))
    assert await sender.send_due() == 0, "it is not tried again"


@pytest.mark.parametrize(
    ("contact", "reason"),
    [
        (replace(BY_E_MAIL, email=None), "no-address"),
        (replace(CAMILLE, email=None, phone=LOCATION.phone), "no-address"),
        (replace(BY_E_MAIL, email="not an address"), "invalid-address"),
        (replace(BY_E_MAIL, email="camille martin@example.org"), "invalid-address"),
        (replace(BY_E_MAIL, email="camille@localhost"), "invalid-address"),
    ],
)
async def test_who_cannot_be_reached_is_a_failure_with_its_reason(service, mailbox, contact, reason):
    await service.learn(contact=contact)
    await service.hear(event())
    sender = service.smtp_sender(mailbox)
    await sender.send_due()
    service.clock.advance(timedelta(seconds=60))
    await sender.send_due()
    assert (await service.statuses())["confirmation"] == ("failed", reason)
    assert mailbox.mails == []
    communication = await service.communication(await confirmation_id(service))
    assert communication["status"] == "not-done"
    assert communication["statusReason"]["coding"][0]["code"] == "recipient-unavailable"
    service.clock.advance(timedelta(hours=1))
    assert await sender.send_due() == 0, "it is not tried again"
    assert (await service.statuses())["2-days"] == ("planned", None), (
        "a mended address gets what is still to come"
    )


@pytest.mark.parametrize("pasted", [" {} ", "mailto:{}", "\u200b{}\u00a0"])
async def test_an_address_kept_with_what_was_pasted_around_it_is_written_to(service, mailbox, pasted):
    """Replicas hold addresses of before they were mended where they are published."""
    await service.learn(contact=replace(CAMILLE, email=pasted.format(CAMILLE.email)))
    await service.hear(event())
    await service.smtp_sender(mailbox).send_due()
    [mail] = mailbox.mails
    assert [address.addr_spec for address in mail["To"].addresses] == [CAMILLE.email]


@pytest.mark.parametrize(
    "number", ["01 99 00 00 01", "+33199000001", "0262 12 34 56", "+590590123456", "+44 7400 123456"]
)
async def test_a_landline_or_a_number_abroad_gets_no_text_message_and_its_owner_the_e_mails(service, number):
    await service.learn(contact=replace(CAMILLE, phone=number))
    await service.hear(event())
    assert {row["channel"] for row in await service.messages()} == {"email"}


async def test_a_number_that_becomes_a_landline_is_not_tried(service):
    await service.learn()
    await service.hear(event())
    service.clock.advance(timedelta(seconds=1))
    await service.learn(contact=replace(CAMILLE, phone="+33199000001"), facts=())
    service.at(START - timedelta(hours=2))
    texts = []

    class Sms:
        async def send(self, number, text):
            texts.append(number)

    await service.sender(LoggedEmails(), Sms()).send_due()
    assert texts == []
    [reminder] = [row for row in await service.messages() if row["rule"] == "2-hours"]
    assert (reminder["status"], reminder["reason"]) == ("failed", "no-text-messages")
    communication = await service.communication(reminder["id"])
    assert "ligne fixe" in communication["statusReason"]["text"]


async def test_a_landline_that_becomes_a_mobile_number_is_reminded(service):
    await service.learn(contact=replace(CAMILLE, phone="+33199000001"))
    await service.hear(event())
    service.clock.advance(timedelta(seconds=1))
    await service.learn(facts=())
    assert (await service.statuses())["2-hours"] == ("planned", None)


@pytest.mark.parametrize(
    ("zone", "note"),
    [(None, ""), ("Europe/Paris", ""), ("Indian/Reunion", " (heure de Paris)"), ("Europe/Parys", "")],
)
async def test_the_zone_is_named_for_whom_another_clock_shows(service, mailbox, zone, note):
    """As the contact says where they live; where it does not, as most of the deployment do."""
    await service.learn(contact=replace(CAMILLE, zone=zone))
    await service.hear(event())
    await service.smtp_sender(mailbox).send_due()
    [mail] = mailbox.mails
    assert mail["Subject"] == f"Votre rendez-vous du mardi 1er décembre à 10\u00a0h{note}"


async def test_missing_facts_are_waited_for_and_then_done_without(service, mailbox):
    await service.learn(facts=[PRACTITIONER])
    await service.hear(event())
    sender = service.smtp_sender(mailbox)
    await sender.send_due()
    assert mailbox.mails == []
    service.clock.advance(timedelta(seconds=60))
    await sender.send_due()
    [mail] = mailbox.mails
    assert mail["Subject"].endswith("(heure de Paris)")
    assert "Dr Agathe Lefèvre" in mail.get_body(("plain",)).get_content()


async def test_a_sender_that_waits_is_woken_by_what_is_planned(service, mailbox, waiting):
    """It would look by itself in an hour."""
    await service.learn()
    sender, stop = service.smtp_sender(mailbox, look_max_s=HOUR_S), asyncio.Event()
    running = asyncio.create_task(sender.run(stop))
    await asyncio.wait_for(waiting.wait(), 30)
    waiting.clear()
    await service.hear(event())
    await asyncio.wait_for(waiting.wait(), 30)
    assert (await service.statuses())["confirmation"] == ("sent", None)
    stop.set()
    await asyncio.wait_for(running, 30)


async def test_a_sender_waits_until_the_next_message_is_due(service, mailbox, monkeypatch):
    """A week, two days, two hours before: it is there when each is due, to the second."""
    await service.learn()
    pauses = []

    async def pass_time(bell, stop, seconds, *, since):
        pauses.append(seconds)
        if seconds == math.inf or len(pauses) > 50:
            stop.set()
        else:
            service.at(service.clock.now() + timedelta(seconds=seconds))

    monkeypatch.setattr(Bell, "wait", pass_time)
    monkeypatch.setattr(sender_module, "LET_GO_AFTER_S", math.inf)
    await service.hear(event())
    await service.smtp_sender(mailbox, look_max_s=math.inf, attempts_max=1).run(asyncio.Event())
    sent = [row for row in await service.messages() if row["status"] == "sent"]
    assert {row["rule"] or row["kind"] for row in sent} >= {"confirmation", "7-days", "2-days"}
    assert all(row["finished_at"] == max(row["due_at"], BOOKED_AT) for row in sent)


async def test_a_late_reminder_waits_for_the_morning(service, mailbox):
    await service.learn()
    await service.hear(event())
    await service.smtp_sender(mailbox).send_due()
    service.at(datetime(2026, 11, 24, 22, 0, tzinfo=UTC))
    await service.smtp_sender(mailbox).send_due()
    assert len(mailbox.mails) == 1
    service.at(datetime(2026, 11, 25, 7, 0, tzinfo=UTC))
    await service.smtp_sender(mailbox).send_due()
    assert [mail["Subject"][:6] for mail in mailbox.mails] == ["Votre ", "Rappel"]


async def test_what_waits_for_the_morning_leaves_by_the_clock_of_the_place_once_that_is_known(
    service, mailbox
):
    """Until then it waits by the clock of Paris, which is three hours behind."""
    await service.learn(facts=[PRACTITIONER])
    await service.hear(event())
    sender = service.smtp_sender(mailbox)
    service.clock.advance(timedelta(seconds=60))
    await sender.send_due()
    assert len(mailbox.mails) == 1, "the confirmation"
    service.at(datetime(2026, 11, 24, 23, 0, tzinfo=UTC))
    await sender.send_due()
    await service.learn(contact=None, facts=[replace(LOCATION, zone="Indian/Reunion")])
    service.at(datetime(2026, 11, 25, 3, 59, tzinfo=UTC))
    await sender.send_due()
    assert len(mailbox.mails) == 1, "it is night there, too"
    service.at(datetime(2026, 11, 25, 4, 0, tzinfo=UTC))
    await sender.send_due()
    assert [mail["Subject"][:6] for mail in mailbox.mails] == ["Votre ", "Rappel"]


async def test_senders_share_the_work_and_no_mail_leaves_twice(service, mailbox):
    await service.learn()
    for number in range(60):
        await service.hear(event(number=number, id=f"appointment-{number}", time=BOOKED_AT))
    senders = [service.smtp_sender(mailbox) for _ in range(4)]

    async def drain(sender):
        while await sender.send_due():
            pass

    await asyncio.gather(*(drain(sender) for sender in senders))
    assert len(mailbox.mails) == 60
    assert len({mail["Message-ID"] for mail in mailbox.mails}) == 60
    assert mailbox.connections <= 4, "connections are kept"


async def test_a_sender_claims_more_at_a_time_while_there_is_more(service):
    """A backlog costs fewer transactions; what is left for others by one who has little to do is not held back from them."""
    await service.learn()
    for number in range(1, 14):
        await service.hear(event(number=number, id=f"appointment-{number}"))
    sender = service.sender(LoggedEmails(), batch_rows=2, batch_rows_max=6)
    assert [await sender.send_due() for _ in range(4)] == [2, 4, 6, 1]
    for number in range(14, 18):
        await service.hear(event(number=number, id=f"appointment-{number}"))
    assert [await sender.send_due() for _ in range(3)] == [2, 2, 0]


async def test_a_sender_that_is_told_to_stop_gives_back_what_it_has_not_begun(service, mailbox):
    await service.learn()
    for number in range(5):
        await service.hear(event(number=number, id=f"appointment-{number}"))
    stop = asyncio.Event()

    class StopAfterOne(LoggedEmails):
        async def send(self, sender, recipient, content):
            stop.set()

    await service.sender(StopAfterOne()).run(stop)
    counts = await service.database.pool.fetch(
        "SELECT status, count(*) FROM message WHERE kind = 'confirmation' GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(row) for row in counts] == [("planned", 4), ("sent", 1)]


class DuringTheFirst(LoggedEmails):
    """A mail server so slow that something happens while it takes the first mail."""

    def __init__(self, happens):
        self.happens, self.mails = happens, []

    async def send(self, sender, recipient, content):
        self.mails.append(content)
        if len(self.mails) == 1:
            await self.happens()


class Meeting:
    """A transport whose mails leave when as many have come together."""

    def __init__(self, count):
        self.barrier = asyncio.Barrier(count)

    async def send(self, sender, recipient, content):
        await asyncio.wait_for(self.barrier.wait(), 30)

    async def close(self):
        pass


async def test_the_messages_of_a_batch_leave_at_once_each_by_a_lane_of_its_own(service):
    """A server that takes a second for each would have ten in a second, not in ten. Each lane knows its own connection."""
    await service.learn()
    for number in range(1, 7):
        await service.hear(event(number=number, id=f"appointment-{number}"))
    meeting = Meeting(6)
    lanes = [{"email": EmailCarrier(meeting, SENDER, "Créneau")} for _ in range(5)]
    await service.sender(meeting, lanes=lanes).send_due()
    sent = [row["status"] for row in await service.messages() if row["kind"] == "confirmation"]
    assert sent == ["sent"] * 6


async def test_the_connections_of_all_lanes_are_let_go_of_when_nothing_is_to_be_sent(service, monkeypatch):
    """Each lane has used its own; a mail server keeps a place for every one that stays open."""
    monkeypatch.setattr(sender_module, "LET_GO_AFTER_S", 0.0)
    await service.learn()
    for number in range(1, 4):
        await service.hear(event(number=number, id=f"appointment-{number}"))
    together, stop = asyncio.Barrier(3), asyncio.Event()
    open_ = set()

    class Connection(LoggedEmails):
        async def send(self, sender, recipient, content):
            open_.add(self)
            await asyncio.wait_for(together.wait(), 30)

        async def close(self):
            open_.discard(self)
            if not open_:
                stop.set()

    lanes = [{"email": EmailCarrier(Connection(), SENDER, "Créneau")} for _ in range(2)]
    async with asyncio.timeout(30):
        running = asyncio.create_task(service.sender(Connection(), lanes=lanes).run(asyncio.Event()))
        await stop.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_lane_that_breaks_off_leaves_the_others_their_work(service):
    """What they send until the batch is over is put down; nothing goes out of their hands to another sender meanwhile."""
    await service.learn()
    for number in range(1, 5):
        await service.hear(event(number=number, id=f"appointment-{number}"))
    broken_off = asyncio.Event()

    class BreakingOff(LoggedEmails):
        async def send(self, sender, recipient, content):
            broken_off.set()
            raise asyncio.CancelledError

    class Afterwards(LoggedEmails):
        async def send(self, sender, recipient, content):
            await broken_off.wait()
            # The database's answers come after whatever was ready before.
            assert await service.database.pool.fetchval("SELECT 1") == 1

    lanes = [{"email": EmailCarrier(Afterwards(), SENDER, "Créneau")}]
    with pytest.raises(asyncio.CancelledError):
        await service.sender(BreakingOff(), lanes=lanes).send_due()
    statuses = [row["status"] for row in await service.messages() if row["kind"] == "confirmation"]
    assert sorted(statuses) == ["sending", "sent", "sent", "sent"]


async def test_a_cancellation_stops_what_is_claimed_and_not_begun(service):
    """A batch is claimed at once; what is cancelled while its first message is sent must not be told any more."""
    await service.learn()
    for number in (1, 2):
        await service.hear(event(number=number, id=f"appointment-{number}"))

    async def both_are_cancelled():
        for number in (1, 2):
            cancelled = event(Change.CANCELLED, number + 2, version=2, id=f"appointment-{number}")
            await service.hear(cancelled)

    transport = DuringTheFirst(both_are_cancelled)
    await service.sender(transport).send_due()
    assert len(transport.mails) == 1
    closed = await service.database.pool.fetch(
        "SELECT status, reason FROM message WHERE kind = 'confirmation' ORDER BY status"
    )
    assert [tuple(row) for row in closed] == [("cancelled", "superseded"), ("sent", None)]


@pytest.mark.parametrize(
    ("contact", "sent_to", "ends"),
    [
        (
            replace(CAMILLE, email="camille.ailleurs@example.org"),
            ["camille.martin@example.org", "camille.ailleurs@example.org"],
            [("sent", None), ("sent", None)],
        ),
        (
            replace(BY_E_MAIL, email=None),
            ["camille.martin@example.org"],
            [("failed", "no-address"), ("sent", None)],
        ),
        (replace(CAMILLE, name="Camille Durand"), ["camille.martin@example.org"] * 2, [("sent", None)] * 2),
    ],
    ids=["to another address", "to none", "by another name"],
)
async def test_what_waits_goes_to_where_its_reader_is_by_then(service, contact, sent_to, ends):
    """A batch is claimed at once; what waits while its first message is sent is for where somebody is reached since."""
    await service.learn()
    await hear_in_order(service, 2)
    transport = DuringTheFirst(lambda: service.learn(contact=contact))
    sender = service.sender(transport)
    assert await sender.send_due() == 2
    service.clock.advance(timedelta(hours=1))
    await sender.send_due()
    rows = await service.database.pool.fetch("SELECT sent_to FROM attempt ORDER BY key")
    assert [row["sent_to"] for row in rows] == sent_to
    rows = await service.database.pool.fetch(
        "SELECT status, reason FROM message WHERE kind = 'confirmation' ORDER BY status"
    )
    assert [tuple(row) for row in rows] == ends
    greeted = b"Durand" if contact.name != CAMILLE.name else b"Martin"
    assert greeted in transport.mails[-1]


async def test_what_is_given_back_is_counted_for_the_letter_box_that_it_goes_to(service):
    """And for no other twice: the first was counted for both of the batch, the second for the one that moved on."""
    await service.learn()
    await hear_in_order(service, 2)
    elsewhere = replace(CAMILLE, email="camille.ailleurs@example.org")
    sender = service.sender(DuringTheFirst(lambda: service.learn(contact=elsewhere)))
    await sender.send_due()
    await sender.send_due()
    counts = await service.database.pool.fetch("SELECT day_sent FROM address_standing ORDER BY 1")
    assert [row["day_sent"] for row in counts] == [1, 2]


async def hear_in_order(service, count):
    for number in range(1, count + 1):
        time = BOOKED_AT - timedelta(seconds=count - number)
        await service.hear(event(number=number, id=f"appointment-{number}", time=time))


async def test_several_lanes_look_together_and_send_nothing_that_was_superseded(service):
    """Two lanes, six messages: what each lane takes at once leaves, of the others those leave that nobody has cancelled."""
    await service.learn()
    await hear_in_order(service, 6)

    async def some_are_cancelled():
        for number in (3, 4, 6):
            cancelled = event(Change.CANCELLED, number + 6, version=2, id=f"appointment-{number}")
            await service.hear(cancelled)

    cancelled, mails = asyncio.Event(), []

    class Cancelling(LoggedEmails):
        async def send(self, sender, recipient, content):
            mails.append(content)
            if not cancelled.is_set():
                await some_are_cancelled()
                cancelled.set()

    class Beside(LoggedEmails):
        async def send(self, sender, recipient, content):
            mails.append(content)
            await asyncio.wait_for(cancelled.wait(), 30)

    lanes = [{"email": EmailCarrier(Beside(), SENDER, "Créneau")}]
    await service.sender(Cancelling(), lanes=lanes).send_due()
    rows = await service.database.pool.fetch(
        "SELECT appointment, status FROM message WHERE kind = 'confirmation' ORDER BY appointment"
    )
    expected = {number: "cancelled" if number in (3, 4, 6) else "sent" for number in range(1, 7)}
    assert {int(row["appointment"][-1]): row["status"] for row in rows} == expected
    assert len(mails) == 3


async def test_a_look_does_not_hold_for_long(service):
    """Two are looked at together; one lane takes long, and what it has not begun meanwhile is looked at once more."""
    await service.learn()
    await hear_in_order(service, 4)
    begun, long_ago, sent = asyncio.Event(), asyncio.Event(), []

    class Waiting(LoggedEmails):
        async def send(self, sender, recipient, content):
            begun.set()
            await asyncio.wait_for(long_ago.wait(), 30)

    class Slow(LoggedEmails):
        async def send(self, sender, recipient, content):
            sent.append(content)
            await asyncio.wait_for(begun.wait(), 30)
            if len(sent) == 2:
                service.clock.advance(FRESH_FOR)
                await service.hear(event(Change.CANCELLED, 9, version=2, id="appointment-4"))
                long_ago.set()

    lanes = [{"email": EmailCarrier(Waiting(), SENDER, "Créneau")}]
    await service.sender(Slow(), lanes=lanes).send_due()
    status = await service.database.pool.fetchval(
        "SELECT status FROM message WHERE appointment = 'appointment-4' AND kind = 'confirmation'"
    )
    assert (status, len(sent)) == ("cancelled", 2)


async def test_a_batch_that_outlasts_its_lease_is_not_sent_twice(service):
    """Each mail takes two of the five minutes of a lease; a rival looks for work after every one."""
    await service.learn()
    for number in range(1, 6):
        await service.hear(event(number=number, id=f"appointment-{number}"))
    rival = DuringTheFirst(lambda: asyncio.sleep(0))

    class Slow(DuringTheFirst):
        async def send(self, sender, recipient, content):
            self.mails.append(content)
            service.clock.advance(timedelta(minutes=2))
            await service.sender(rival).send_due()

    slow = Slow(lambda: asyncio.sleep(0))
    await service.sender(slow).send_due()
    assert rival.mails, "the lease did run out"
    assert len(slow.mails) + len(rival.mails) == 5
    assert len({*slow.mails, *rival.mails}) == 5


async def test_an_error_of_ours_does_not_stop_the_others(service, mailbox):
    await service.learn()
    await service.hear(event())

    class Broken(LoggedEmails):
        async def send(self, sender, recipient, content):
            raise RuntimeError("x" * 5000)

    await service.sender(Broken()).send_due()
    error = await service.database.pool.fetchval("SELECT error FROM attempt")
    assert error == "RuntimeError", "what it says may hold somebody's words"


async def test_without_a_server_the_adapter_that_logs_takes_the_mail(service):
    await service.learn()
    await service.hear(event())
    await service.sender(LoggedEmails()).send_due()
    assert (await service.statuses())["confirmation"] == ("sent", None)


@pytest.mark.parametrize("url", ["", "http://mail", "smtp://", "mail.example.org:25"])
def test_a_bad_smtp_url_is_refused_at_once(url):
    with pytest.raises(ValueError, match="SMTP_URL"):
        SmtpTransport(url, tls="opportunistic", timeout_s=1)


async def test_encryption_that_is_required_and_not_offered_fails_for_now(mailbox):
    transport = SmtpTransport(mailbox.url, tls="required", timeout_s=30)
    with pytest.raises(DeliveryError) as raised:
        await transport.send(SENDER, "camille@example.org", b"Subject: x\r\n\r\nx")
    assert not raised.value.permanent
    assert mailbox.mails == []


async def test_what_one_cannot_put_down_keeps_no_other_from_it(service):
    """Results that came together are written together; where that fails, each alone."""
    await service.learn()
    for number in (1, 2):
        await service.hear(event(number=number, id=f"appointment-{number}"))
    now = service.clock.now()
    async with service.database.transaction() as connection:
        claimed = await messages.look_for_due(connection, now, 2, CHANNELS)
        await messages.claim(connection, [Claimed(m, None) for m in claimed], now + timedelta(minutes=5))
    ledger = Ledger(service.database, service.communications, service.clock)
    sent = [Outcome(message, Closing(Status.SENT, None), Attempt(now, "accepted")) for message in claimed]
    broken = replace(sent[0], attempt=Attempt(now, "no such result"))
    first, *others = await asyncio.gather(
        *(ledger.put_down(one) for one in (broken, sent[0], sent[1])), return_exceptions=True
    )
    assert isinstance(first, asyncpg.CheckViolationError)
    assert others == [None, None]
    assert [result for result, *_ in await service.attempts()] == ["accepted", "accepted"]
