"""Writes nginx's configuration from the template: on one machine, and for the image (`python -m …render`)."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.gateway.outcomes import write_outcomes

HERE = Path(__file__).parent
TEMPLATE = HERE / "nginx.conf.template"
STATIC = HERE / "static"
CONTRACTS = HERE.parents[1] / "shared" / "contracts"

UPSTREAM_IDLE_S = 4
"""Idle connections end before the service ends them (uvicorn: 5 s): no request meets a closed one."""


@dataclass(frozen=True)
class Gateway:
    """Where nginx listens and what stands behind it; each upstream is a list of `host:port`.

    `mailbox` and `status` (a JSON file of the supervisor) exist on a development machine only.
    """

    listen: str
    directory: Sequence[str]
    booking: Sequence[str]
    notifications: Sequence[str]
    gateway: Sequence[str]
    state: Path
    outcomes: Path
    static: Path = STATIC
    contracts: Path = CONTRACTS
    user: str | None = None
    mailbox: str | None = None
    status: Path | None = None
    upstreams: tuple[str, ...] = field(
        default=("directory", "booking", "notifications", "gateway"), init=False
    )


def render(gateway: Gateway) -> str:
    """The configuration as text."""
    values = {
        "USER": f"user {gateway.user};" if gateway.user else "",
        "STATE": _path(gateway.state),
        "STATIC": _path(gateway.static),
        "CONTRACTS": _path(gateway.contracts),
        "OUTCOMES": _path(gateway.outcomes),
        "LISTEN": gateway.listen,
        "UPSTREAMS": "\n".join(_upstream(name, getattr(gateway, name)) for name in gateway.upstreams),
        "DEVELOPMENT": _development(gateway),
    }
    return re.sub(r"@([A-Z]+)@", lambda match: values[match[1]], TEMPLATE.read_text(encoding="utf-8"))


def write(gateway: Gateway, configuration: Path) -> None:
    """Write the configuration, the outcomes and the folders that nginx wants."""
    gateway.state.mkdir(parents=True, exist_ok=True)
    write_outcomes(gateway.outcomes)
    configuration.write_text(render(gateway), encoding="utf-8")


def _path(path: Path) -> str:
    text = str(path)
    if re.search(r'["$\\]', text):
        raise ValueError(f'nginx cannot be given a path with ", $ or \\: {text}')
    return text


def _upstream(name: str, servers: Sequence[str]) -> str:
    lines = [f"    upstream {name} {{", f"        zone {name} 64k;"]
    lines += [f"        server {server} max_fails=1 fail_timeout=1s;" for server in servers]
    lines += ["        keepalive 64;", f"        keepalive_timeout {UPSTREAM_IDLE_S}s;", "    }", ""]
    return "\n".join(lines)


def _development(gateway: Gateway) -> str:
    blocks = ""
    if gateway.mailbox:
        blocks += f"""        location ~ ^/dev/mail(?:\\.json|/|$) {{
            proxy_pass http://{gateway.mailbox};
        }}
"""
    if gateway.status:
        blocks += f"""        location = /ops/status {{
            default_type application/json;
            add_header Cache-Control no-store always;
            alias "{_path(gateway.status)}";
        }}
"""
    return blocks


def main() -> None:
    """Render for containers, where each service is a host name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", default="8080")
    parser.add_argument("--directory", nargs="+", default=["directory-api:8000"])
    parser.add_argument("--booking", nargs="+", default=["booking-api:8000"])
    parser.add_argument("--notifications", nargs="+", default=["notifications-api:8000"])
    parser.add_argument("--gateway", nargs="+", default=["gateway:8000"])
    for folder in ("--static", "--outcomes", "--state"):
        parser.add_argument(folder, type=Path, required=True, help="where it is when nginx runs")
    parser.add_argument("--contracts", type=Path, default=CONTRACTS, help="where they are when nginx runs")
    parser.add_argument("--write-outcomes-to", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = vars(parser.parse_args())
    output, outcomes = arguments.pop("output"), arguments.pop("write_outcomes_to")
    write_outcomes(outcomes)
    output.write_text(render(Gateway(**arguments)), encoding="utf-8")


if __name__ == "__main__":
    main()
