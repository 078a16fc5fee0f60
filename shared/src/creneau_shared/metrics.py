"""The metrics of the process for Prometheus. Each module declares its own."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Gauge, generate_latest
from pydantic_settings import BaseSettings

STEP = 1.2
"""Ratio of two neighbouring bounds of a fine histogram: an interpolated value is right within a tenth."""
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
    """Publishes the version, settings and schema of this process, so that an operator sees changes and differences between
    processes. `schema`: the revision of its database."""
    PROCESS.clear()
    PROCESS.labels(_version(service), settings_digest(settings), schema or "").set(1)


def _version(service: str) -> str:
    try:
        return version(service)
    except PackageNotFoundError:
        return "unreleased"


def settings_digest(settings: BaseSettings) -> str:
    """A short digest of a process's settings, without OF_THE_PLACE. Of a secret it covers only whether it is set; of an
    address it leaves out user and password."""
    told = {
        name: bool(value) if name.endswith(SECRETS) else _LOGS_IN.sub("//", str(value))
        for name in sorted(type(settings).model_fields)
        if name not in OF_THE_PLACE
        for value in (getattr(settings, name),)
    }
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:DIGEST_CHARACTERS]
