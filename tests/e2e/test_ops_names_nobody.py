"""The operator's page and what it is made of, scanned for everybody whom the demonstration knows."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from deploy.local.ports import LOOPBACK

from tests.fixtures.local_run import LocalRun

pytestmark = pytest.mark.timeout(900)
OTHERS = {"postgres", "broker", "issuer", "mailbox", "nginx"}
PEOPLE = "SELECT convert_from(content, 'UTF8') AS content FROM patient WHERE content IS NOT NULL"


async def test_nobody_is_named(local_run: LocalRun) -> None:
    """O6: no family name, telephone, address or birth date of a patient in the page, in a number's label or in a log."""
    said: dict[str, str] = {}
    async with httpx.AsyncClient(timeout=30) as client:
        said["/ops"] = (await client.get(f"{local_run.url}/ops")).text
        for name, part in local_run.processes().items():
            if name not in OTHERS:
                said[f"metrics of {name}"] = (
                    await client.get(f"http://{LOOPBACK}:{part['port']}/metrics")
                ).text
                said[f"log of {name}"] = local_run.log(name)
    assert "Créneau fonctionne-t-il" in said["/ops"]
    traits = set()
    for row in await local_run.fetch("booking", PEOPLE):
        person = json.loads(row["content"])
        names = [name.get("family", "") for name in person.get("name", ())]
        reached = [telecom.get("value", "") for telecom in person.get("telecom", ())]
        traits |= {one for one in (*names, *reached, person.get("birthDate", "")) if len(one) > 3}
    assert len(traits) > 20
    wanted = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(traits)))})\b")
    found = {where: match[0] for where, text in said.items() if (match := wanted.search(text))}
    assert found == {}
