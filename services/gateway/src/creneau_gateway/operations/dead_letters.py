"""The dead letters of all services in one list; each is dealt with by its own service, whose name its id begins with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from creneau_gateway.upstreams.asking import FORWARDED, RefusedError, at_once, refusal
from creneau_gateway.upstreams.calls import Upstreams
from creneau_gateway.upstreams.routing import Service
from creneau_shared.errors import MethodNotAllowed, NotFound, Unavailable
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.parameters import parameter_named
from creneau_shared.fhir.storage.store import Resource

LISTED = "$dead-letters"
ACTS = ("$replay-dead-letter", "$discard-dead-letter")
CONSUMING: tuple[Service, ...] = ("booking", "notifications")
"""services that follow events"""


class AllDeadLetters:
    """Asks those services."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams

    def answers(self, path: Sequence[str]) -> bool:
        return len(path) == 1 and path[0] in (LISTED, *ACTS)

    async def answer(
        self, method: str, path: Sequence[str], headers: Mapping[str, str], said: Resource | None
    ) -> Answer:
        """The waiting letters, or the outcome for the named one."""
        if path[0] == LISTED:
            if method not in ("GET", "HEAD", "POST"):
                raise MethodNotAllowed.at_address(method, "GET, HEAD, POST")
            return await self._list(headers)
        if method != "POST":
            raise MethodNotAllowed.at_address(method, "POST")
        return await self._act(path[0], headers, said)

    async def _list(self, headers: Mapping[str, str]) -> Answer:
        """Names a service that does not answer; raises RefusedError if one refuses."""
        found = await asyncio.gather(*(self._letters_of(service, headers) for service in CONSUMING))
        parts = [part for several in found for part in several]
        resource: Resource = {"resourceType": "Parameters"}
        return Answer(200, dumps({**resource, "parameter": parts} if parts else resource))

    async def _letters_of(self, service: Service, headers: Mapping[str, str]) -> list[Resource]:
        try:
            answer = await self._upstreams.call(
                service, "GET", f"/fhir/{LISTED}", headers=_forwarded(headers)
            )
        except Unavailable:
            return [{"name": "unavailable", "valueString": service}]
        if answer.status_code >= 500:
            return [{"name": "unavailable", "valueString": service}]
        if answer.status_code != 200:
            raise RefusedError(refusal(service, answer))
        return list(loads(answer.content).get("parameter", ()))

    async def _act(self, code: str, headers: Mapping[str, str], said: Resource | None) -> Answer:
        named: Resource = next((p for p in (said or {}).get("parameter", ()) if p.get("name") == "id"), {})
        owner = str(named.get("valueString", "")).partition("-")[0]
        service = next((one for one in CONSUMING if one == owner), None)
        if service is None:
            raise NotFound(
                "Ce message mort n'existe pas, ou plus.",
                "This dead letter does not exist, or no more.",
                expression=parameter_named("id"),
            )
        sent = {**_forwarded(headers), "content-type": "application/fhir+json"}
        answer = await self._upstreams.call(
            service, "POST", f"/fhir/{code}", headers=sent, content=dumps(said or {})
        )
        if answer.status_code != 200:
            raise RefusedError(refusal(service, answer))
        return Answer(200, answer.content)


def _forwarded(headers: Mapping[str, str]) -> dict[str, str]:
    kept = at_once({name: headers[name] for name in FORWARDED if name in headers})
    return {**kept, "accept": "application/fhir+json"}
