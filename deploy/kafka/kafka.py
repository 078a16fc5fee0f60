"""Apache Kafka (KRaft, one node) from its Maven artifacts, as a child process on the loopback."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

from deploy.local.broker import answers
from deploy.local.child import Child, Command
from deploy.local.ports import LOOPBACK, free_port, wait_until

POM = Path(__file__).with_name("pom.xml")

CLUSTER_ID = "Y3JlbmVhdS1rYWZrYS0xMQ"
"""Sixteen bytes in URL-safe base 64, as `kafka-storage format` wants them."""


def unavailable_because() -> str | None:
    """Why Apache Kafka cannot run on this machine, or None when it can."""
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    return f"{' and '.join(missing)} not installed" if missing else None


def fetch_libraries(libs: Path) -> None:
    """Have Maven copy the jars into `libs` once; several processes may ask at the same time."""
    libs.mkdir(parents=True, exist_ok=True)
    with (libs.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        complete = libs / ".complete"
        if complete.exists() and complete.stat().st_mtime >= POM.stat().st_mtime:
            return
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={libs.resolve()}"]
        argv = ["mvn", "-q", "-B", "-f", str(POM), *goal]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"Maven could not fetch Apache Kafka: {done.stdout[-2000:]}")
        complete.touch()


class Kafka:
    """One combined broker and controller; its data survive `kill` and `stop`."""

    def __init__(
        self,
        data: Path,
        *,
        log: Path,
        libs: Path,
        port: int | None = None,
        controller_port: int | None = None,
    ) -> None:
        self.data = data
        self.libs = libs
        self.port = port or free_port()
        self.controller_port = controller_port or free_port()
        self.properties = data / "server.properties"
        self.child = Child("kafka", self.command(), log)

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`, as Kafka clients take it."""
        return f"{LOOPBACK}:{self.port}"

    def command(self) -> Command:
        """How to run the broker in the foreground."""
        return Command((*self._java("-Xms128m", "-Xmx512m"), "kafka.Kafka", str(self.properties)))

    def _java(self, *options: str) -> tuple[str, ...]:
        logging = f"-Dlog4j2.configurationFile={POM.with_name('log4j2.properties')}"
        return ("java", *options, logging, "-cp", f"{self.libs}/*")

    def prepare(self) -> None:
        """Fetch the jars and format the storage on the first start; write the settings at each."""
        fetch_libraries(self.libs)
        self.data.mkdir(parents=True, exist_ok=True)
        self.properties.write_text(self._settings())
        if (self.data / "log" / "meta.properties").exists():
            return
        tool = (*self._java(), "kafka.tools.StorageTool", "format", "--standalone")
        argv = [*tool, "-t", CLUSTER_ID, "-c", str(self.properties)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"Kafka could not format its storage: {done.stdout}{done.stderr}")

    def _settings(self) -> str:
        """A single node; the short session lets it come back in seconds after a crash."""
        controller = f"{LOOPBACK}:{self.controller_port}"
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.bootstrap.servers": controller,
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.bootstrap_servers},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap_servers},CONTROLLER://{controller}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.data / "log"),
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "group.initial.rebalance.delay.ms": "0",
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    def start(self, within_s: float = 60.0) -> None:
        """Start it (again, on the same port and data) and wait until it answers."""
        self.prepare()
        self.child.start()

        def ready() -> bool:
            self.child.check_alive()
            return answers(self.port)

        wait_until(ready, within_s=within_s, what="Apache Kafka", every_s=0.1)

    def stop(self) -> None:
        """Graceful: hands over, flushes and ends."""
        self.child.stop(within_s=20)

    def kill(self) -> None:
        """SIGKILL, as a crash would end it."""
        self.child.kill()
