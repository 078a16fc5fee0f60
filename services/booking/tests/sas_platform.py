"""A stand-in for the SAS platform (INT_R03), in a process of its own: `python -m services.booking.tests.sas_platform PLAN`.

It keeps Appointments by identifier, as a POST (201; 409 for what it has) and a conditional PUT (200, or 201) say, refuses
what is no FrAppointmentSAS nor sas-sos-appointment (422), and prints a line for each word that it was told. PLAN: what it
does with its first requests instead (`503`; `drop`: it does what it is told, and never answers), separated by commas.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

SOS = "https://interop.esante.gouv.fr/ig/fhir/sas/StructureDefinition/sas-sos-appointment"
OPERATOR = "http://interopsante.org/fhir/StructureDefinition/FrAppointmentOperator"


def broken(appointment: dict[str, Any]) -> bool:
    """Whether it lacks what FrAppointmentSAS demands, or says what nobody wants to know."""
    if SOS in appointment.get("meta", {}).get("profile", ()):
        return broken_of_centre(appointment)
    operators = [e for e in appointment.get("extension", ()) if e["url"] == OPERATOR]
    numbers = [p.get("actor", {}).get("identifier", {}) for p in appointment.get("participant", ())]
    return not (
        len(operators) == 1
        and len(appointment.get("identifier", ())) == 1
        and {"start", "end", "status"} <= appointment.keys()
        and appointment["status"] in ("booked", "fulfilled", "noshow", "cancelled")
        and all(n.get("system") == "urn:oid:1.2.250.1.71.4.2.1" for n in numbers)
        and "slot" not in appointment
    )


def broken_of_centre(appointment: dict[str, Any]) -> bool:
    """The same of sas-sos-appointment, which names nobody."""
    operators = [e for e in appointment.get("extension", ()) if e["url"] == OPERATOR]
    return not (
        len(operators) == len(appointment["extension"]) == len(appointment.get("identifier", ())) == 1
        and {"start", "end", "status"} <= appointment.keys()
        and all(p["type"][0]["coding"][0]["code"] == "ADM" for p in appointment["participant"])
        and all(p["status"] in ("accepted", "needs-action") for p in appointment["participant"])
        and "slot" not in appointment
        and "actor" not in str(appointment["participant"])
    )


class StandIn:
    """What it has been told."""

    def __init__(self, plan: list[str]) -> None:
        self.plan = plan
        self.known: dict[str, dict[str, Any]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head.split("\r\n")
        method, target, _ = line.split(" ")
        length = next(int(f.split(":")[1]) for f in fields if f.lower().startswith("content-length"))
        appointment = json.loads(await reader.readexactly(length))
        step = self.plan.pop(0) if self.plan else ""
        status = int(step) if step.isdigit() else self.told(method, target, appointment)
        print(
            json.dumps({"method": method, "target": target, "status": status, "body": appointment}),
            flush=True,
        )
        if step != "drop":
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        writer.close()

    def told(self, method: str, target: str, appointment: dict[str, Any]) -> int:
        if broken(appointment):
            return 422
        [identifier] = appointment["identifier"]
        name = f"{identifier['system']}|{identifier['value']}"
        there = name in self.known
        if method == "POST" and there:
            return 409
        if method == "PUT" and parse_qs(urlsplit(target).query).get("identifier") != [name]:
            return 400
        self.known[name] = appointment
        return 200 if there else 201


async def main() -> None:
    stand_in = StandIn([step for step in sys.argv[1].split(",") if step])
    server = await asyncio.start_server(stand_in.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
