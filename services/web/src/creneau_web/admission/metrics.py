"""How full the pages are, and who was turned away."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from creneau_web.admission.rule import ORDER, Kind, Room

IN_PROGRESS = Gauge("creneau_pages_in_progress", "Pages that are being made, by this process")
WAITING = Gauge("creneau_pages_waiting", "Requests that wait to be let in, by kind", ["kind"])
TURNED_AWAY = Counter(
    "creneau_pages_turned_away_total", "Requests that were asked to come back later, by kind", ["kind"]
)


def observe(room: Room) -> None:
    """Makes the gauges read this room."""

    def waiting(kind: Kind) -> None:
        WAITING.labels(kind).set_function(lambda: room.waiting[kind])

    IN_PROGRESS.set_function(lambda: room.in_progress)
    for kind in ORDER:
        waiting(kind)
        TURNED_AWAY.labels(kind)
