"""What follows from a copy of the table of types with two rows more, as JSON; a process of its own, for everything that
is made from the table is made as it is imported."""

from __future__ import annotations

import json
import re
import sys
from importlib import util
from pathlib import Path
from types import ModuleType

ROWS = """
        ResourceType("Library", "directory", _DIRECTORY, public=True),
        ResourceType(
            "Basic", "notifications", _and({"patient": {"crs": "own"}}, _staff(rs="practice")),
            personal=("patient",), takes="register", compartments={"Patient": ("patient",), "Group": ("subject",)},
        ),
"""
ADDRESSES = (
    "Library", "Library/1/_history", "Basic/_search", "Patient/1/Basic", "Patient/1/Library", "Basic/1/Appointment",
)  # fmt: skip


def invent() -> None:
    """Put the copy in the table's place."""
    spec = util.find_spec("creneau_shared.type_table")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text(encoding="utf-8")
    end = "    )\n}\n\nPUBLIC = "
    assert source.count(end) == 1
    module = ModuleType("creneau_shared.type_table")
    sys.modules[module.__name__] = module
    exec(compile(source.replace(end, ROWS + end), spec.origin, "exec"), module.__dict__)  # noqa: S102


def nginx_upstream(configuration: str, address: str) -> str:
    """Where nginx sends an address: the first location that takes it, else the gateway."""
    found = re.findall(r"location ~ (\S+) \{\s+proxy_pass http://([a-z]+);", configuration)
    return next((to for pattern, to in found if re.search(pattern, f"/fhir/{address}")), "gateway")


def main() -> None:
    invent()
    from deploy.gateway.render import Gateway, render
    from deploy.local.tokens import SCOPES
    from tests.docs import roles_table

    from creneau_directory.storage.tables import TYPES as IN_THE_DIRECTORY
    from creneau_gateway.upstreams.routing import service_of
    from creneau_shared import type_table as table
    from creneau_shared.security import certificates
    from creneau_shared.security.principal import Principal, Scope
    from creneau_shared.security.rights import Rights
    from creneau_shared.security.role_table import needed, require_told

    one = ["127.0.0.1:1"]
    configuration = render(Gateway("1", one, one, one, one, one, state=Path("/s"), outcomes=Path("/o")))
    patient = Principal("i", "s", (Scope("patient", "*", frozenset("cruds")),), role="patient")
    rights = Rights(patient, people={"p": frozenset({"see"})}, oneself=frozenset({"p"}))
    require_told(["Basic", "Library"], ())
    told = {
        "nginx": {address: nginx_upstream(configuration, address) for address in ADDRESSES},
        "gateway": {address: service_of(address.split("/")) for address in ADDRESSES},
        "access": [
            rights.access("Basic", "s").required,
            Rights(Principal("i", "s", ())).reach("Library", "r"),
            Rights(Principal("i", "s", ())).reach("Basic", "r"),
            needed("Basic", "c"),
        ],
        "compartments": [
            table.COMPARTMENT_PARAMETERS["Patient"]["Basic"],
            table.COMPARTMENT_PARAMETERS["Group"],
        ],
        "recorded": [name in table.RECORDED for name in ("Basic", "Library")],
        "regulation": [
            scope.resource_type for scope in certificates.SCOPES if scope.resource_type == "Library"
        ],
        "tokens": [scope for scope in SCOPES["patient"].split() if "Basic" in scope or "Library" in scope],
        "guide": [
            line for line in roles_table.table().splitlines() if line.startswith(("| Basic", "| Library"))
        ],
        "tables": "Library" in IN_THE_DIRECTORY,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
