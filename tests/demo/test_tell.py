"""The story of `make demo`, told to a miniature Créneau: it ends well, or where something is wrong."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaProducer
from deploy.demo import tell
from deploy.demo.story import bus, following, mailbox
from deploy.demo.story.bus import TOPIC, Bus, Event, check_contract
from deploy.demo.story.dialogue import Dialogue
from deploy.demo.story.errors import StoryError
from deploy.demo.story.mailbox import Mailbox
from deploy.demo.story.narrator import Narrator, when
from deploy.demo.story.reading import appointment_in
from deploy.demo.story.scene import Scene
from deploy.demo.story.searching import kilometres
from deploy.local.broker import Broker

from tests.demo.fake_creneau import NOW, FakeBus, FakeCreneau


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not come at once never comes from a fake."""
    monkeypatch.setattr(mailbox, "WITHIN_S", 0.0)
    monkeypatch.setattr(following, "COMMUNICATIONS_WITHIN_S", 0.0)


def told(*faults: str) -> str:
    """The whole story as text, told to a Créneau with these faults."""
    creneau, out = FakeCreneau(*faults), StringIO()
    narrator = Narrator(out)
    with httpx.Client(transport=httpx.MockTransport(creneau), base_url="http://creneau") as client:
        tell.tell(
            Scene(
                narrator=narrator,
                dialogue=Dialogue(client, narrator),
                mailbox=Mailbox(client),
                bus=cast(Bus, FakeBus(creneau)),
                tokens=lambda subject, patient: f"{subject}/{patient}",
                practice_tokens=lambda organization: f"secretary/{organization}",
                now=NOW,
                run="r1",
            )
        )
    return out.getvalue()


def test_the_story_goes_through() -> None:
    """Ten numbered steps, with what a reader looks for in each."""
    story = told()
    for number in range(1, 11):
        assert f"━━ {number}. " in story
    assert "?_include=Slot:schedule" in story
    assert "&schedule.actor:Practitioner.identifier=urn:oid:1.2.250.1.71.4.2.1|8" in story
    assert "Expires : " in story
    assert "409 Conflict" in story
    assert "« Ce créneau vient d'être pris. »" in story
    assert "ce_type: fr.creneau.booking.appointment.booked.v1" in story
    assert "POST /confirmer/a1" in story
    assert "METHOD:CANCEL" in story
    assert "ce_type: fr.creneau.booking.appointment.offered.v1" in story
    assert "peut aller au" in story
    assert "prévu : Rappel d’un rendez-vous (SMS)" in story
    assert "retiré : Rappel d’un rendez-vous (SMS)" in story
    last = story.partition("━━ 10. ")[2]
    for path in ("/", "/console", "/dev/mail", "/ops"):
        assert f" : http://creneau{path}\n" in last, "where a person goes on in a browser"
    assert story.rstrip().endswith("Tout s'est passé comme annoncé.")


def test_the_story_takes_no_place_of_a_group() -> None:
    """On some days the workshop is the first free slot: it stays free when one of its places is taken."""
    assert "Slot/demo-atelier-diabete" not in told("workshop first")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("empty", "Aucun généraliste à Rennes"),
        ("no include", "sans son Practitioner ou sa Location"),
        ("no actors", "sans Practitioner"),
        ("everybody's", "Un autre cabinet a reçu 200"),
        ("nobody's", "Le cabinet ne voit pas le rendez-vous"),
        ("stranger", "n'est aucun des professionnels demandés"),
        ("no previous", "L'événement dit que le rendez-vous était à"),
        ("no next page", "Pas assez de créneaux"),
        ("busy slots", "n'est pas libre"),
        ("far", "au-delà des 10 km"),
        ("count", "5 étaient demandés"),
        ("no expires", "en-tête Expires"),
        ("double booking", "201 au lieu de 409"),
        ("leaky event", "nomme la personne"),
        ("broken contract", "ne respecte pas appointment.booked.v1"),
        ("no calendar", "Aucun courriel REQUEST"),
        ("wrong hour", "Le calendrier dit"),
        ("no link", "ne demande pas de confirmer"),
        ("link ended", "a répondu 410"),
        ("no reminder", "un rappel prévu"),
        ("reminder kept", "Le retrait de ce qui était prévu"),
        ("old slot kept", "« busy » au lieu de « free »"),
        ("same sequence", "Aucun courriel REQUEST"),
        ("other uid", "L'UID du calendrier a changé"),
        ("slot lost", "« busy » au lieu de « free »"),
        ("never offered", "« free » au lieu de « busy-tentative »"),
        ("nobody hit", "n'est pas parmi ceux que l'absence touche"),
        ("left", "« left » au lieu de « moved »"),
        ("not closed", "« free » au lieu de « busy-unavailable »"),
    ],
)
def test_the_story_ends_where_something_is_wrong(fault: str, sentence: str) -> None:
    """One clear sentence, in French, at the first thing that does not behave."""
    with pytest.raises(StoryError) as caught:
        told(fault)
    assert sentence in str(caught.value)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a local run that has not run yet."""
    monkeypatch.setenv("CRENEAU_FOLDER", str(tmp_path))
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.delenv("OIDC_ISSUER", raising=False)
    return tmp_path / "state.json"


def test_the_broker_is_found_in_the_state_of_the_run(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoryError, match="make run"):
        tell.bootstrap_servers()
    state.write_text('{"processes": {"broker": {"port": 4711}}}')
    assert tell.bootstrap_servers() == "127.0.0.1:4711"
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    assert tell.bootstrap_servers() == "kafka:9092"


def test_nothing_running_is_said_in_one_sentence(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell.main() == 1
    assert "lancez d'abord « make run »" in capsys.readouterr().out


def test_a_token_carries_the_patient(state: Path) -> None:
    """The SMART launch context that reading Communications needs."""
    payload = tell.patient_token("demo-camille", "p1").split(".")[1]
    claims = orjson.loads(_base64url(payload))
    assert claims["sub"] == "demo-camille"
    assert claims["patient"] == "p1"


def _base64url(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    embedded = Broker(log=tmp_path_factory.mktemp("broker") / "broker.log")
    embedded.start()
    yield embedded
    embedded.stop()


def test_events_are_read_from_where_the_topic_ended(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event of before is not taken for the one that the story waits for; the right one is found."""
    monkeypatch.setattr(bus, "WITHIN_S", 2.0)
    publish(broker, "a1", b'{"when": "before"}')
    topic = Bus(broker.bootstrap_servers)
    publish(broker, "other", b"{}")
    publish(broker, "a1", b'{"when": "after"}')
    event = topic.wait("a1", "booked")
    assert event.data == {"when": "after"}
    assert event.headers["ce_type"] == "fr.creneau.booking.appointment.booked.v1"
    with pytest.raises(StoryError, match="n'est pas paru"):
        topic.wait("a1", "cancelled")


def publish(broker: Broker, key: str, value: bytes) -> None:
    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, enable_idempotence=False)
        await producer.start()
        headers = [("ce_type", b"fr.creneau.booking.appointment.booked.v1")]
        await producer.send_and_wait(TOPIC, value, key=key.encode(), headers=headers)
        await producer.stop()

    asyncio.run(send())


def test_a_broker_that_is_away_is_said() -> None:
    with pytest.raises(StoryError, match=r"Kafka ne répond pas à 127\.0\.0\.1:9"):
        Bus("127.0.0.1:9")


def test_the_examples_of_the_contracts_keep_them() -> None:
    """The reference between schemas is resolved, and a missing member is found."""
    examples = sorted((bus.CONTRACTS / "examples").glob("appointment.*.json"))
    assert examples
    for path in examples:
        change = path.name.split(".")[1]
        headers = {"ce_type": f"fr.creneau.booking.appointment.{change}.v1"}
        data = orjson.loads(path.read_bytes())
        assert check_contract(Event(0, 0, "a", headers, data)) == f"appointment.{change}.v1.schema.json"
        del data["status"]
        with pytest.raises(StoryError, match="status"):
            check_contract(Event(0, 0, "a", headers, data))


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "Appointment", "id": "a"},
        {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Appointment", "id": "a"}}]},
        {
            "resourceType": "Parameters",
            "parameter": [{"name": "return", "resource": {"resourceType": "Appointment", "id": "a"}}],
        },
    ],
)
def test_an_appointment_is_found_in_any_answer(body: dict[str, object]) -> None:
    assert appointment_in(body)["id"] == "a"


def test_distance_is_right() -> None:
    """Rennes to Brest is about 210 km."""
    rennes, brest = {"latitude": 48.112, "longitude": -1.674}, {"latitude": 48.390, "longitude": -4.486}
    assert kilometres(rennes, brest) == pytest.approx(210, abs=2)


def test_a_moment_is_told_on_the_clock_of_the_place() -> None:
    assert when(NOW, ZoneInfo("Indian/Reunion")) == "dimanche 22 novembre 2026 à 13 h 00"


def test_no_colour_outside_a_terminal() -> None:
    assert "\033[" not in told()
