"""Publish the demonstration region: `python -m deploy.demo.load`.

Does what any publishing software would, through the public FHIR API only. CRENEAU_URL is the gateway (default
http://127.0.0.1:8080), CRENEAU_TOKEN a bearer token of role system. Every resource is a PUT under an id given here, in batch
Bundles. So loading can be repeated and taken up again. No stage waits for what an earlier one sets off behind the API: a
reference is accepted before its target is known.

Exit code 0 when everything is stored, 1 otherwise, with the reason of each refusal.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import orjson

from deploy.demo.codes import Resource
from deploy.demo.feed import synchronise
from deploy.demo.gateway import gateway_url, trusted
from deploy.demo.progress import Progress, number
from deploy.demo.region import Region, build

BATCH_ENTRIES = 200
IN_FLIGHT = 4
"""Requests under way at the same time."""
TIMEOUT_S = 60.0
ATTEMPTS = 5
RETRY_PAUSE_S = 0.5
"""Pause before the second attempt, doubled before each next one; a Retry-After of the server wins."""
RETRIED_STATUS = frozenset({429, 502, 503, 504})
FAILURES_MAX = 50
"""After so many refusals the loading stops: something is wrong at large."""


class LoadingError(Exception):
    """The loading cannot go on; the message says why, in French."""


@dataclass(frozen=True)
class Stage:
    """Types that may be loaded at the same time: none refers to another of its stage."""

    label: str
    types: tuple[str, ...]
    once: bool = False
    """what is there already has a life of its own, and is left as it is"""


STAGES = (
    Stage("Organisations", ("Organization",)),
    Stage("Lieux et professionnels", ("Location", "Practitioner")),
    Stage("Offres de soins", ("HealthcareService",)),
    Stage("Situations d'exercice", ("PractitionerRole",)),
    Stage("Agendas", ("Schedule",)),
    Stage("Créneaux libres", ("Slot",)),
    Stage("Personnes qui attendent", ("Patient",), once=True),
    Stage("Liste d'attente", ("Appointment",), once=True),
)


@dataclass
class Report:
    """What became of the loading: how many are stored or already taken, and a sentence for each refusal."""

    stored: int = 0
    already_taken: int = 0
    failures: list[str] = field(default_factory=list)


class Loader:
    """Loads resources through one client whose base address is the gateway."""

    def __init__(self, client: httpx.AsyncClient, report: Report) -> None:
        self._client = client
        self._report = report

    async def load(self, region: Region) -> None:
        """Load the stages one after the other; a stage with a refusal is the last one."""
        for stage in STAGES:
            resources = [resource for name in stage.types for resource in region.get(name, ())]
            if stage.once:
                resources = [resource for resource in resources if not await self._is_there(resource)]
            with Progress(stage.label, len(resources)) as progress:
                await self._put_all(resources, progress)
            if self._report.failures:
                return

    async def _is_there(self, resource: Resource) -> bool:
        return (await self._send("GET", f"/fhir/{_name(resource)}", None)).status_code == 200

    async def _put_all(self, resources: list[Resource], progress: Progress) -> None:
        """Put everything, IN_FLIGHT batches at a time, until too many entries are refused."""
        batches = iter([resources[at : at + BATCH_ENTRIES] for at in range(0, len(resources), BATCH_ENTRIES)])

        async def worker() -> None:
            for batch in batches:
                if len(self._report.failures) >= FAILURES_MAX:
                    return
                await self._put_batch(batch)
                progress.advance(len(batch))

        async with asyncio.TaskGroup() as workers:
            for _ in range(IN_FLIGHT):
                workers.create_task(worker())

    async def _put_batch(self, resources: Sequence[Resource]) -> None:
        """Sends several PUTs in one request; sends those again that the server is too busy for."""
        pause = RETRY_PAUSE_S
        for attempt in range(1, ATTEMPTS + 1):
            results = await self._batch(resources)
            again = []
            for resource, response in zip(resources, results, strict=bool(results)):
                status = int(str(response.get("status", "0"))[:3])
                if status in RETRIED_STATUS and attempt < ATTEMPTS:
                    again.append(resource)
                else:
                    await self._note(resource, status, response.get("outcome") or {})
            if not again:
                return
            resources = again
            await asyncio.sleep(pause)
            pause *= 2

    async def _batch(self, resources: Sequence[Resource]) -> list[Resource]:
        """Each resource's response; none when the batch is refused, which is told once."""
        entries = [
            {"resource": resource, "request": {"method": "PUT", "url": _name(resource)}}
            for resource in resources
        ]
        answer = await self._send(
            "POST", "/fhir", {"resourceType": "Bundle", "type": "batch", "entry": entries}
        )
        body = _body(answer)
        if answer.status_code != 200 or body.get("resourceType") != "Bundle":
            names = f"{_name(resources[0])} … {_name(resources[-1])}"
            self._report.failures.append(f"lot {names} : {answer.status_code} – {reason(body)}")
            return []
        results = body.get("entry", [])
        if len(results) != len(resources):
            raise LoadingError(f"lot de {len(resources)} entrées : {len(results)} réponses seulement")
        return [{"outcome": result.get("resource"), **result.get("response", {})} for result in results]

    async def _note(self, resource: Resource, status: int, outcome: Resource) -> None:
        if 200 <= status < 300:
            self._report.stored += 1
        elif status == 409 and await self._is_taken(resource):
            self._report.already_taken += 1
        else:
            self._report.failures.append(f"{_name(resource)} : {status} – {reason(outcome)}")

    async def _is_taken(self, resource: Resource) -> bool:
        """Whether a refused Slot is there already and no longer free: booked since an earlier loading."""
        if resource["resourceType"] != "Slot":
            return False
        answer = await self._send("GET", f"/fhir/{_name(resource)}", None)
        return answer.status_code == 200 and _body(answer).get("status") != "free"

    async def _send(self, method: str, path: str, resource: Resource | None) -> httpx.Response:
        """One request, again after a pause when the server is away or busy (a PUT may safely be repeated)."""
        content = None if resource is None else orjson.dumps(resource)
        pause = RETRY_PAUSE_S
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = await self._client.request(method, path, content=content)
            except httpx.TransportError as error:
                if attempt == ATTEMPTS:
                    raise LoadingError(
                        f"{self._client.base_url} ne répond pas ({type(error).__name__}: {error})"
                    ) from error
            else:
                if answer.status_code not in RETRIED_STATUS or attempt == ATTEMPTS:
                    return answer
                pause = _retry_after(answer, pause)
            await asyncio.sleep(pause)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")


def _name(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _retry_after(answer: httpx.Response, otherwise: float) -> float:
    value = answer.headers.get("retry-after", "")
    return float(value) if value.isdigit() else otherwise


def _body(answer: httpx.Response) -> Resource:
    """The JSON object of an answer; the text, as an OperationOutcome, when it is none."""
    try:
        body = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        body = None
    if isinstance(body, dict):
        return body
    text = answer.text.strip() or "réponse vide"
    return {"resourceType": "OperationOutcome", "issue": [{"diagnostics": text[:300]}]}


def reason(outcome: Resource) -> str:
    """The sentences of an OperationOutcome, with the places that they speak of."""
    sentences = []
    for issue in outcome.get("issue", []):
        text = issue.get("details", {}).get("text") or issue.get("diagnostics") or issue.get("code", "?")
        where = ", ".join(issue.get("expression", []))
        sentences.append(f"{text} [{where}]" if where else text)
    return " ; ".join(sentences) or "sans explication"


@asynccontextmanager
async def open_client(url: str, token: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway that speaks FHIR JSON, in French, under `token`."""
    headers = {
        "authorization": f"Bearer {token}",
        "content-type": "application/fhir+json",
        "accept": "application/fhir+json",
        "accept-language": "fr",
        "prefer": "return=minimal",
    }
    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False, verify=trusted()
    ) as client:
        yield client


async def run(url: str, token: str) -> int:
    """Build the region from now on, load it, and say how it went. Gives the exit code."""
    region = build(datetime.now(UTC))
    total = sum(map(len, region.values()))
    print(f"Données de démonstration : {number(total)} ressources vers {url}/fhir")
    started, report = time.monotonic(), Report()
    try:
        async with open_client(url, token) as client:
            await Loader(client, report).load(region)
            if not report.failures:
                report.failures += await synchronise(client, region)
    except* LoadingError as failures:
        report.failures += dict.fromkeys(map(str, failures.exceptions))
    elapsed = time.monotonic() - started
    for failure in report.failures:
        print(f"  refusé : {failure}", file=sys.stderr)
    rate = report.stored / max(elapsed, 0.001)
    print(f"{number(report.stored)} ressources enregistrées en {number(elapsed)} s ({number(rate)}/s)")
    if report.already_taken:
        print(f"{number(report.already_taken)} créneaux déjà pris, laissés tels quels")
    if report.failures:
        print(f"Chargement interrompu : {number(len(report.failures))} refus.", file=sys.stderr)
    return 1 if report.failures else 0


def main() -> int:
    """Read the environment and load."""
    url = gateway_url()
    token = os.environ.get("CRENEAU_TOKEN", "")
    if not token:
        print("CRENEAU_TOKEN manque : par exemple celui de « make token ROLE=system ».", file=sys.stderr)
        return 1
    return asyncio.run(run(url, token))


if __name__ == "__main__":
    sys.exit(main())
