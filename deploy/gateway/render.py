"""Writes nginx's configuration from the template: on one machine, and for the image (`python -m …render`)."""

from __future__ import annotations

import argparse
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from creneau_shared.http import cors
from deploy.gateway.certificates import self_signed
from deploy.gateway.outcomes import error_pages, write_outcomes
from deploy.gateway.routes import routes
from deploy.gateway.settings import EntranceSettings

HERE = Path(__file__).parent
TEMPLATE = HERE / "nginx.conf.template"
STATIC = HERE / "static"
CONTRACTS = HERE.parents[1] / "shared" / "contracts"

UPSTREAM_IDLE_S = 4
"""Idle connections end before the service ends them (uvicorn: 5 s): no request meets a closed one."""


RESOLVED_FOR_S = 5
"""how long nginx keeps a service's address; name servers of containers say ten minutes"""
RESOLV_CONF = Path("/etc/resolv.conf")

CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
"""TLS 1.2 ciphers as in Mozilla's intermediate configuration; TLS 1.3 has its own"""


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
    web: Sequence[str]
    state: Path
    outcomes: Path
    static: Path = STATIC
    contracts: Path = CONTRACTS
    inner: str | None = None
    """where nginx listens for the pages, always without TLS: an address that nobody from outside reaches; None: nowhere"""
    user: str | None = None
    mailbox: str | None = None
    status: Path | None = None
    settings: EntranceSettings = field(default_factory=EntranceSettings)
    assets: Path | None = None
    """where the pages' static files stand by hash and name (`creneau-web assets`); None: the pages serve them"""
    published: Path | None = None
    """where booking's worker writes what it publishes in bulk; None: nothing is"""
    certificates: Path | None = None
    """where a self-made certificate is kept, with GATEWAY_TLS=self-signed"""
    upstreams: tuple[str, ...] = field(
        default=("directory", "booking", "notifications", "gateway", "web"), init=False
    )


def render(gateway: Gateway) -> str:
    """The configuration as text."""
    settings = gateway.settings
    addresses = f"{settings.gateway_addresses_mib}m"
    resolvers = _resolvers(settings.gateway_resolver)
    values = {
        "USER": f"user {gateway.user};" if gateway.user else "",
        "STATE": _path(gateway.state),
        "STATIC": _path(gateway.static),
        "CONTRACTS": _path(gateway.contracts),
        "ASSETS": _assets(gateway),
        "REFUSALS": error_pages().replace("@OUTCOMES@", _path(gateway.outcomes)),
        "NAMES": cors.NAMES.pattern.decode(),
        "ALLOWED": cors.ALLOWED_HEADERS.decode(),
        "PREFLIGHT": _preflight(),
        "LISTEN": _listen(gateway),
        "HSTS": _hsts(settings),
        "PROXIES": _proxies(settings),
        "TRUSTED": "\n".join(f"        {n} 0;" for n in _networks(settings.gateway_trusted_addresses)),
        "ADDRESSES": addresses,
        "RATE": str(settings.gateway_requests_per_s),
        "BURST": str(settings.gateway_requests_burst),
        "CONNECTIONS": str(settings.gateway_connections_max),
        "SECRET": _secret(settings),
        "RESOLVER": _resolver(resolvers),
        "UPSTREAMS": "\n".join(
            _upstream(name, getattr(gateway, name), resolved=bool(resolvers)) for name in gateway.upstreams
        ),
        "ROUTES": routes(),
        "PUBLISHED": _published(gateway),
        "DEVELOPMENT": _development(gateway),
    }
    return re.sub(r"@([A-Z]+)@", lambda match: values[match[1]], TEMPLATE.read_text(encoding="utf-8"))


def write(gateway: Gateway, configuration: Path) -> None:
    """Write the configuration, the outcomes and the folders that nginx wants."""
    gateway.state.mkdir(parents=True, exist_ok=True)
    write_outcomes(gateway.outcomes)
    _write_private(configuration, render(gateway))


def _write_private(configuration: Path, text: str) -> None:
    """The configuration holds the secret: only its owner reads it."""
    draft = configuration.with_name(f".{configuration.name}")
    draft.touch(0o600)
    draft.chmod(0o600)
    draft.write_text(text, encoding="utf-8")
    draft.replace(configuration)


def _listen(gateway: Gateway) -> str:
    settings = gateway.settings
    inner = f"\n        listen {gateway.inner};" if gateway.inner else ""
    if not settings.tls:
        return f"        listen {gateway.listen};{inner}"
    certificate, key = settings.gateway_tls_certificate, settings.gateway_tls_key
    if certificate is None or key is None:
        certificate, key = self_signed(
            gateway.certificates or gateway.state, gateway.listen.rpartition(":")[0]
        )
    lines = [
        f"listen {gateway.listen} ssl;",
        "http2 on;",
        f'ssl_certificate "{_path(certificate)}";',
        f'ssl_certificate_key "{_path(key)}";',
        "ssl_protocols TLSv1.2 TLSv1.3;",
        f"ssl_ciphers {CIPHERS};",
        "ssl_session_cache shared:tls:10m;",
        "ssl_session_timeout 1h;",
        "ssl_session_tickets off;",
    ]
    if settings.gateway_client_ca is not None:
        lines += [
            f'ssl_client_certificate "{_path(settings.gateway_client_ca)}";',
            "ssl_verify_client optional;",
            "ssl_verify_depth 4;",
        ]
        if settings.gateway_client_crl is not None:
            lines.append(f'ssl_crl "{_path(settings.gateway_client_crl)}";')
    return "\n".join(f"        {line}" for line in lines) + inner


def _hsts(settings: EntranceSettings) -> str:
    if not settings.tls or not settings.gateway_hsts_max_age_s:
        return ""
    return f'    add_header Strict-Transport-Security "max-age={settings.gateway_hsts_max_age_s}" always;\n'


def _proxies(settings: EntranceSettings) -> str:
    networks = _networks(settings.gateway_proxies)
    lines = [f"    set_real_ip_from {network};" for network in networks]
    return (
        "\n".join([*lines, "    real_ip_header X-Forwarded-For;", "    real_ip_recursive on;"])
        if lines
        else ""
    )


def _networks(text: str) -> list[str]:
    """Addresses and networks, as nginx takes them; ValueError for anything else."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    return [str(ipaddress.ip_network(word, strict=False)) for word in words]


def _secret(settings: EntranceSettings) -> str:
    secret = settings.gateway_secret.get_secret_value()
    if not re.fullmatch(r"[A-Za-z0-9._~+/=-]*", secret):
        raise ValueError("GATEWAY_SECRET may have letters, digits and . _ ~ + / = - only")
    return secret


def _path(path: Path) -> str:
    text = str(path)
    if re.search(r'["$\\]', text):
        raise ValueError(f'nginx cannot be given a path with ", $ or \\: {text}')
    return text


def _resolvers(text: str) -> list[str]:
    """`GATEWAY_RESOLVER`: name servers with their ports, as nginx takes them; ValueError for what is no address."""
    if text.strip() == "system":
        lines = (line.split() for line in RESOLV_CONF.read_text(encoding="utf-8").splitlines())
        # nginx cannot read an address with a scope (`%`).
        words = [line[1] for line in lines if line[:1] == ["nameserver"] and "%" not in line[1]]
    else:
        words = [word.strip() for word in text.split(",") if word.strip()]
    return [_name_server(word) for word in words]


def _name_server(word: str) -> str:
    """`address`, `address:port` or `[address]:port`, as `address:port`."""
    if _is_address(word):
        host, port = word, "53"
    else:
        host, _, port = word.rpartition(":")
    address = ipaddress.ip_address(host.strip("[]"))
    return f"[{address}]:{int(port)}" if address.version == 6 else f"{address}:{int(port)}"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _resolver(resolvers: Sequence[str]) -> str:
    return f"    resolver {' '.join(resolvers)} valid={RESOLVED_FOR_S}s;" if resolvers else ""


def _upstream(name: str, servers: Sequence[str], *, resolved: bool) -> str:
    """`resolved`: host names are resolved again and again, not once as nginx starts. Each request goes to the process that
    has the fewest: turn by turn, it waited behind a slow one while another had nothing to do."""
    lines = [f"    upstream {name} {{", f"        zone {name} 64k;", "        least_conn;"]
    for server in servers:
        again = " resolve" if resolved and not _is_address(server.rpartition(":")[0]) else ""
        lines.append(f"        server {server}{again} max_fails=1 fail_timeout=1s;")
    lines += ["        keepalive 64;", f"        keepalive_timeout {UPSTREAM_IDLE_S}s;", "    }", ""]
    return "\n".join(lines)


def _assets(gateway: Gateway) -> str:
    if gateway.assets is None:
        return "            proxy_pass http://web;"
    return f"""            root "{_path(gateway.assets)}";
            try_files $uri @web;
            add_header Cache-Control "public, max-age=31536000, immutable";"""


def _preflight() -> str:
    """The headers of the answer to a preflight."""
    said = [(name.decode(), value.decode()) for name, value in cors.PREFLIGHT if name != b"content-length"]
    lines = [
        *(f'{name.title()} "{value}"' for name, value in said),
        "Access-Control-Allow-Headers $allowed_headers",
    ]
    return "\n".join(f"            add_header {line} always;" for line in lines)


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


def _published(gateway: Gateway) -> str:
    """Files of `$bulk-publish`: open to everybody, named by their content."""
    if gateway.published is None:
        return "        location ^~ /bulk/ {\n            return 404;\n        }"
    return f"""        location ^~ /bulk/ {{
            alias "{_path(gateway.published)}/";
            types {{ }}
            default_type application/fhir+ndjson;
            limit_except GET HEAD {{
                deny all;
            }}
            gzip_types application/fhir+ndjson;
            add_header Access-Control-Allow-Origin * always;
            add_header Cache-Control "public, max-age=86400, immutable";
        }}"""


def main() -> None:
    """Write the configuration for containers, where each service is a host name, to `--output` (a folder)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", default="8080")
    parser.add_argument("--inner", help="for the pages, without TLS: published to nobody")
    parser.add_argument("--directory", nargs="+", default=["directory-api:8000"])
    parser.add_argument("--booking", nargs="+", default=["booking-api:8000"])
    parser.add_argument("--notifications", nargs="+", default=["notifications-api:8000"])
    parser.add_argument("--gateway", nargs="+", default=["gateway:8000"])
    parser.add_argument("--web", nargs="+", default=["web:8000"])
    for folder in ("--static", "--state"):
        parser.add_argument(folder, type=Path, required=True, help="where it is when nginx runs")
    parser.add_argument("--contracts", type=Path, default=CONTRACTS, help="where they are when nginx runs")
    parser.add_argument(
        "--output", type=Path, required=True, help="a folder that nginx sees at the same place"
    )
    parser.add_argument(
        "--published", type=Path, help="where it is when nginx runs: what is published in bulk"
    )
    arguments = vars(parser.parse_args())
    output: Path = arguments.pop("output")
    write_outcomes(output / "outcomes")
    gateway = Gateway(outcomes=output / "outcomes", certificates=output, **arguments)
    _write_private(output / "nginx.conf", render(gateway))


if __name__ == "__main__":
    main()
