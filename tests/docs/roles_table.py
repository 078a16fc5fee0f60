"""Who may do what, as `security/role_table.py` has it: `python -m tests.docs.roles_table` writes it into the guide."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from deploy.local.folder import REPOSITORY

from creneau_shared.security.principal import Role
from creneau_shared.security.role_table import ACTIONS, OPERATIONS, reach_of
from creneau_shared.type_table import TYPES

GUIDE = REPOSITORY / "docs" / "guides" / "roles.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"
ROLES: tuple[Role, ...] = get_args(Role)


def table() -> str:
    """The part of the guide between BEGIN and END."""
    head = f"| | {' | '.join(ROLES)} |\n|---|{'---|' * len(ROLES)}\n"
    rows = "".join(
        f"| {name} | {' | '.join(_cell(role, name) for role in ROLES)} |\n" for name in sorted(TYPES)
    )
    operations = "".join(
        f"| `${code}` | {f'{row.right[1]} of {row.right[0]}' if row.right else '–'} | {row.otherwise or '–'} |\n"
        for code, row in sorted(OPERATIONS.items())
    )
    return f"\n{head}{rows}\n| operation | takes | and |\n|---|---|---|\n{operations}\n"


def _cell(role: Role, resource_type: str) -> str:
    """`crus own`, or `rs all, cud practice`: the interactions with each reach."""
    by_reach: dict[str, str] = {}
    for action in ACTIONS:
        reach = reach_of(role, resource_type, action)
        if reach != "none":
            by_reach[reach] = by_reach.get(reach, "") + action
    return ", ".join(f"{letters} {reach}" for reach, letters in by_reach.items()) or "–"


def written(guide: Path = GUIDE) -> str:
    """The table that stands in the guide."""
    return guide.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """Write the table into the guide."""
    before, _, rest = GUIDE.read_text(encoding="utf-8").partition(BEGIN)
    GUIDE.write_text(f"{before}{BEGIN}{table()}{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
