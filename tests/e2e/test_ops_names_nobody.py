"""The operator's page and what it is made of, scanned for people who have just been there."""

from __future__ import annotations

import re
from typing import Any

import httpx
from deploy.local.ports import LOOPBACK

from tests.fixtures.local_run import LocalRun
from tests.resilience.office import Office

OTHERS = {"postgres", "broker", "issuer", "mailbox", "nginx"}
TRAITS = ("Kerlédanvy", "Ysoline", "0612098765", "+33612098765", "ysoline.k@exemple.fr", "1987-03-29")
PERSON: dict[str, Any] = {
    "resourceType": "Patient",
    "active": True,
    "name": [{"family": TRAITS[0], "given": [TRAITS[1]]}],
    "telecom": [{"system": "phone", "value": TRAITS[2]}, {"system": "email", "value": TRAITS[4]}],
    "birthDate": TRAITS[5],
}


async def test_nobody_is_named(local_run: LocalRun) -> None:
    """O6: somebody registers, is looked for, books, and asks for what is refused: nothing of them is in the page, in a
    number's label or in a log."""
    office = Office(local_run)
    await office.open()
    (slot,) = await office.free_slots(1)
    headers = {"Authorization": f"Bearer {local_run.token('system')}"}
    async with httpx.AsyncClient(base_url=f"{local_run.url}/fhir", headers=headers, timeout=30) as client:
        who = f"Patient/{(await client.post('/Patient', json=PERSON)).json()['id']}"
        found = await client.get("/Patient", params={"family": TRAITS[0], "birthdate": TRAITS[5]})
        assert found.json()["total"] == 1
        wanted = office.booking(slot)
        for one in wanted["participant"]:
            if one["actor"]["reference"] == office.patient:
                one["actor"] = {"reference": who, "display": TRAITS[1]}
        booked = await client.post("/Appointment", json=wanted)
        assert booked.status_code == 201, booked.text
        assert (await client.post("/Appointment", json=wanted)).status_code == 409
        assert (await client.post("/Patient", json={**PERSON, "birthDate": TRAITS[0]})).status_code >= 400
    said: dict[str, str] = {}
    async with httpx.AsyncClient(timeout=30) as client:
        said["/ops"] = (await client.get(f"{local_run.url}/ops")).text
        for name, part in local_run.processes().items():
            if name not in OTHERS:
                metrics = await client.get(f"http://{LOOPBACK}:{part['port']}/metrics")
                said[f"metrics of {name}"] = metrics.text
                said[f"log of {name}"] = local_run.log(name)
    assert "Créneau fonctionne-t-il" in said["/ops"]
    named = re.compile("|".join(map(re.escape, (*TRAITS, who))))
    within = {where: match[0] for where, text in said.items() if (match := named.search(text))}
    assert within == {}
