"""Which service nginx sends an address of the FHIR base to: locations, made from the table of types."""

from __future__ import annotations

from collections.abc import Iterable

from creneau_shared.type_table import OPERATION_ADDRESSES, SERVICE_NAMES, TYPES, ResourceType

INDENT = 8 * " "


def routes() -> str:
    """The locations in the order in which nginx tries them; the gateway takes the rest."""
    rows = TYPES.values()
    parts = ["# The answer to an asynchronous request stands where the request was recorded."]
    parts += [_location(f"_async/{service}", service) for service in SERVICE_NAMES]
    parts += ["", "# A person's whole record stands in several services."]
    parts.append(_location(r"Patient/[^/]+/\$(?:everything|archive)", "gateway", "/?$"))
    parts += ["", "# Operations of the base itself, or on a type that another service holds."]
    parts += [
        _location(address.replace("$", r"\$"), service, "/?$")
        for address, service in OPERATION_ADDRESSES.items()
    ]
    parts += ["", "# The slots of an agenda all at once: the longest body of all (FEED_BODY_BYTES_MAX)."]
    parts.append(_location(r"Schedule/[^/]+/\$sync-slots", "booking", "/?$", "client_max_body_size 16m;"))
    parts += ["", "# A search in a compartment is answered where what it searches is held."]
    parts += _by_service("[A-Za-z]+/[^/]+/", (row for row in rows if row.compartments))
    parts += [
        "",
        "# Each service has a trail of its own; the gateway reads them as one. What is asked of the type as such",
    ]
    parts += ["# ($validate), any of them can answer."]
    trails = _names(row for row in rows if row.trail)
    parts.append(_location(f"{trails}(?:/(?:_search|[A-Za-z0-9.-]+))?", "gateway", "/?$"))
    parts += ["", *_by_service("", rows)]
    return "\n".join(f"{INDENT}{line}" if line else "" for part in parts for line in part.split("\n"))


def _by_service(before: str, rows: Iterable[ResourceType]) -> list[str]:
    """A location for each service that has one of these types."""
    several = list(rows)
    having = [(service, [row for row in several if row.service == service]) for service in SERVICE_NAMES]
    return [_location(before + _names(own), service) for service, own in having if own]


def _names(rows: Iterable[ResourceType]) -> str:
    return f"(?:{'|'.join(row.name for row in rows)})"


def _location(address: str, upstream: str, after: str = "(?:/|$)", also: str = "") -> str:
    more = f"    {also}\n" if also else ""
    return f"location ~ ^/fhir/{address}{after} {{\n{more}    proxy_pass http://{upstream};\n}}"
