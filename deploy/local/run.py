"""`make run`: everything on this machine, in the foreground, until Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from urllib.request import Request, urlopen

from deploy.local.child import Command
from deploy.local.folder import Folder, write_json
from deploy.local.lock import AlreadyRunningError, hold
from deploy.local.ports import can_bind
from deploy.local.supervisor import StartError, Supervisor
from deploy.local.topology import (
    WITH_DATABASE,
    ImpossibleError,
    Programs,
    Settings,
    Topology,
    installed_programs,
)

DEMONSTRATION = "deploy.demo.load"


def say(text: str) -> None:
    """Tell the person in front of the terminal."""
    print(text, flush=True)


class Run:
    """One local run, from the lock to the last process stopped."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.settings = topology.settings
        self.folder = topology.folder
        self.supervisor = Supervisor(self.folder.logs, say=say, changed=self.write_state)

    def write_state(self) -> None:
        """What `/ops/status` shows and tests read."""
        issuer = self.settings.oidc_issuer or (self.topology.issuer.url if self.topology.issuer else None)
        processes = {part.name: part.status() for part in self.supervisor.parts}
        state = {
            "supervisor": os.getpid(),
            "url": self.settings.url,
            "issuer": issuer,
            "processes": processes,
        }
        write_json(self.folder.state, state)

    async def start(self) -> None:
        """Start everything, in order, and load the demonstration data when there are none."""
        topology, supervisor = self.topology, self.supervisor
        say("Starting PostgreSQL, the broker, the issuer and the mailbox …")
        await supervisor.start(*topology.infrastructure(), within_s=120)
        await asyncio.to_thread(self.topology.prepare_databases)
        say("Bringing the databases to the present schema …")
        await asyncio.gather(
            *(supervisor.run_once(f"{name}-migrate", topology.migration(name)) for name in WITH_DATABASE),
            supervisor.run_once("web-assets", topology.web_assets()),
        )
        say("Starting the services …")
        await supervisor.start(*topology.services(), within_s=120)
        await supervisor.start(topology.nginx())
        await self._load_demonstration()
        self._tell_addresses()

    async def _load_demonstration(self) -> None:
        """Fills an empty directory; goes on when the last run stopped in the middle."""
        issuer = self.topology.issuer
        if issuer is None or os.environ.get("DEMONSTRATION") == "off":
            return
        token = issuer.token("system")
        unfinished = self.folder.root / "demonstration-unfinished"
        server = self.topology.servers("directory")[0]
        if not unfinished.exists() and not await asyncio.to_thread(directory_is_empty, server, token):
            return
        say("Loading the demonstration data …")
        unfinished.touch()
        environment = {**os.environ, "CRENEAU_URL": self.settings.url, "CRENEAU_TOKEN": token}
        if self.topology.certificate is not None:
            environment["CRENEAU_CA"] = str(self.topology.certificate)
        command = Command((sys.executable, "-m", DEMONSTRATION), environment)
        try:
            await self.supervisor.run_once("demonstration", command, to_terminal=True)
            unfinished.unlink()
            await asyncio.to_thread(self.topology.count_rows)
        except StartError as error:
            say(f"{error}; going on without the rest of it")

    def _tell_addresses(self) -> None:
        url = self.settings.url
        addresses = {
            "Pages": f"{url}/",
            "FHIR": f"{url}/fhir",
            "CapabilityStatement": f"{url}/fhir/metadata",
            "Documentation": f"{url}/docs",
            "Operations": f"{url}/ops",
            "Issuer": self.settings.oidc_issuer or (self.topology.issuer.url if self.topology.issuer else ""),
        }
        if not self.settings.smtp_url:
            addresses["Mailbox"] = f"{url}/dev/mail"
        if self.topology.certificate is not None:
            addresses["Certificate"] = (
                f"{self.topology.certificate} (CRENEAU_CA=… make demo; curl --cacert …)"
            )
        for name, address in addresses.items():
            say(f"  {name:<20}{address}")
        say(f"Créneau is ready: {url} (Ctrl-C stops it)")

    async def run(self) -> int:
        """Start, wait for Ctrl-C or SIGTERM, stop; the exit code. A second Ctrl-C kills."""
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()

        def on_signal() -> None:
            if asked.is_set():
                self.supervisor.kill()
            asked.set()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, on_signal)
        starting = asyncio.create_task(self.start())
        waiting = asyncio.create_task(asked.wait())
        try:
            await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting
                await waiting
            return 0
        except (StartError, ImpossibleError) as failure:
            say(str(failure))
            return 1
        finally:
            starting.cancel()
            waiting.cancel()
            await asyncio.gather(starting, waiting, return_exceptions=True)
            say("Stopping …")
            await self.supervisor.stop()
            say("Créneau has stopped.")


def directory_is_empty(server: str, token: str) -> bool:
    """Whether the directory holds no organisation yet."""
    request = Request(
        f"http://{server}/fhir/Organization?_summary=count", headers={"Authorization": f"Bearer {token}"}
    )
    with urlopen(request, timeout=20) as answer:  # noqa: S310
        return bool(json.load(answer)["total"] == 0)


def main(programs: Programs | None = None) -> int:
    """The exit code: 0 after a clean stop, 1 when it could not start."""
    try:
        settings = Settings.from_environment(os.environ)
        folder = Folder()
        folder.create()
        with hold(folder.lock, settings.url):
            if not can_bind(settings.port, settings.host):
                raise ImpossibleError(
                    f"port {settings.port} is taken; choose another: CRENEAU_PORT=8081 make run"
                )
            return asyncio.run(Run(Topology(settings, folder, programs or installed_programs())).run())
    except (AlreadyRunningError, ImpossibleError) as reason:
        print(reason, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
