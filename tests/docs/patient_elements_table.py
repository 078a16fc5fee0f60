"""The table of what a patient may say of an appointment, as the code has it.

`python -m tests.docs.patient_elements_table` writes it into the guide for frontends.
"""

from __future__ import annotations

from pathlib import Path

from deploy.local.folder import REPOSITORY

from creneau_booking.domain.patient_elements import CANCELATION_REASONS, RIGHTS, Phase, Right

GUIDE = REPOSITORY / "docs" / "guides" / "patient-frontend.md"
BEGIN, END = "<!-- what a patient may say -->\n", "<!-- end of what a patient may say -->\n"
PHASES: tuple[Phase, ...] = ("request", "held", "booked", "closed")


def table() -> str:
    """The part of the guide between BEGIN and END."""
    rows = "".join(_row(element, right) for element, right in RIGHTS.items())
    reasons = ", ".join(f"`{code}`" for code in sorted(CANCELATION_REASONS))
    return (
        "\n| element | asking | held | booked | afterwards | moving | |\n|---|---|---|---|---|---|---|\n"
        f"{rows}\nReasons to cancel: {reasons}.\n\n"
    )


def _row(element: str, right: Right) -> str:
    marks = [phase in right.phases for phase in PHASES] + [right.moving]
    cells = " | ".join("yes" if mark else "–" for mark in marks)
    return f"| `{element}` | {cells} | {right.note} |\n"


def written(guide: Path = GUIDE) -> str:
    """The table that stands in the guide."""
    return guide.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """Write the table into the guide."""
    before, _, rest = GUIDE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    GUIDE.write_text(before + BEGIN + table() + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
