"""What no consumer can handle, from the broker to the operator: seen, tried again, given up, and in the trail."""

from __future__ import annotations

from typing import Any

import httpx
from aiokafka import AIOKafkaProducer
from deploy.local.ports import wait_until

from tests.fixtures.stack import Stack

TOPIC = "creneau.directory.resources"
WITHIN_S = 90


def letters(operator: httpx.Client) -> list[dict[str, Any]]:
    """The letters that wait, as the base gives them."""
    answer = operator.get("/$dead-letters")
    assert answer.status_code == 200, answer.text
    return [
        {p["name"]: next(v for n, v in p.items() if n != "name") for p in part["part"]}
        for part in answer.json().get("parameter", ())
        if part["name"] == "letter"
    ]


async def test_an_operator_deals_with_what_nobody_could_handle(full_stack: Stack) -> None:
    """A record that is no event, on a topic that two services follow: one letter each, in one list. Tried again it fails as
    before and waits on; given up it is gone; each act is in the trail of its service."""
    async with AIOKafkaProducer(bootstrap_servers=full_stack.topology.bootstrap_servers) as producer:
        await producer.send_and_wait(TOPIC, b"\xff", key=b"Practitioner/illisible")
    with full_stack.client("operator", subject="exploitante") as operator, full_stack.client() as system:
        wait_until(lambda: len(letters(operator)) == 2, within_s=WITHIN_S, what="two letters", every_s=0.3)
        found = letters(operator)
        assert {one["id"].partition("-")[0] for one in found} == {"booking", "notifications"}
        assert {(one["topic"], one["reason"]) for one in found} == {(TOPIC, "UnreadableEvent")}
        assert "illisible" not in str(found)
        for letter in found:
            said = {"name": "id", "valueString": letter["id"]}
            again = operator.post("/$replay-dead-letter", json=_parameters(said)).json()
            assert {"name": "state", "valueCode": "waiting"} in again["parameter"], again
            assert {"name": "reason", "valueCode": "UnreadableEvent"} in again["parameter"]
            why = {"name": "reason", "valueString": "essai"}
            gone = operator.post("/$discard-dead-letter", json=_parameters(said, why))
            assert gone.json()["parameter"] == [{"name": "state", "valueCode": "discarded"}], gone.text
        assert letters(operator) == []
        trail = system.get("/AuditEvent", params={"entity-type": "Basic", "altid": "exploitante"})
        assert trail.json()["total"] >= 4, trail.text


def _parameters(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(parts)}
