"""The metrics of the process, as Prometheus reads them. Each module declares those that it keeps."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Gauge, generate_latest
from pydantic_settings import BaseSettings

STEP = 1.2
"""From one bound of a fine histogram to the next: what is read between two is right within a tenth."""
OF_THE_PLACE = frozenset({"host", "port", "log_level", "log_format"})
"""Settings in which processes of one deployment may differ."""
SECRETS = ("_secret", "_password", "_key")
_LOGS_IN = re.compile(r"//[^/@]*@")
DIGEST_CHARACTERS = 8

PROCESS = Gauge(
    "creneau_process_info",
    "1, with the version of the service, a digest of its settings and the schema of its database",
    ["version", "settings", "schema"],
)


def exposition(registry: CollectorRegistry = REGISTRY) -> tuple[bytes, str]:
    """All metrics in Prometheus' text format, and the content type of it."""
    return generate_latest(registry), CONTENT_TYPE_LATEST


def fine_steps(least: float, most: float) -> tuple[float, ...]:
    """Bounds of a histogram from `least` on, each `STEP` times the one before, up to `most` at the least."""
    bounds = [least]
    while bounds[-1] < most:
        bounds.append(float(f"{bounds[-1] * STEP:.3g}"))
    return tuple(bounds)


def tell_process(service: str, settings: BaseSettings, schema: str | None = None) -> None:
    """Say what this process is: an operator sees what has changed, and which of them differ. `schema`: the revision that
    its database has."""
    PROCESS.clear()
    PROCESS.labels(_version(service), settings_digest(settings), schema or "").set(1)


def _version(service: str) -> str:
    try:
        return version(service)
    except PackageNotFoundError:
        return "unreleased"


def settings_digest(settings: BaseSettings) -> str:
    """A short digest of what a process was told, without its place and without what opens anything: of a secret it
    tells whether there is one, of an address not who logs in."""
    told = {
        name: bool(value) if name.endswith(SECRETS) else _LOGS_IN.sub("//", str(value))
        for name in sorted(type(settings).model_fields)
        if name not in OF_THE_PLACE
        for value in (getattr(settings, name),)
    }
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:DIGEST_CHARACTERS]
