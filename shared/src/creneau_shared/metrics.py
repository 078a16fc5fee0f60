"""The metrics of the process, as Prometheus reads them. Each module declares those that it keeps."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest


def exposition(registry: CollectorRegistry = REGISTRY) -> tuple[bytes, str]:
    """All metrics in Prometheus' text format, and the content type of it."""
    return generate_latest(registry), CONTENT_TYPE_LATEST
