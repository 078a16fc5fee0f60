"""The life of an appointment, as `domain/transitions.py` has it: `python -m tests.docs.transitions_table` writes it into
the guide."""

from __future__ import annotations

from pathlib import Path

from deploy.local.folder import REPOSITORY

from creneau_booking.domain.transitions import TRANSITIONS

GUIDE = REPOSITORY / "docs" / "guides" / "integrator.md"
BEGIN, END = "<!-- transitions: begin -->\n", "<!-- transitions: end -->\n"


def table() -> str:
    """The part of the guide between BEGIN and END: steps that do the same side by side."""
    rows: dict[tuple[str, str, str, str, str], list[str]] = {}
    for (before, after), step in TRANSITIONS.items():
        if before == after:
            continue
        told = f"`{step.told}`" if step.told else "–"
        key = (step.verb, after, step.time, told, "yes" if step.by_patient else "no")
        rows.setdefault(key, []).append(f"`{before}`" if before else "new")
    head = "| step | from | to | time | told | by the patient |\n|---|---|---|---|---|---|\n"
    lines = (
        f"| {verb} | {', '.join(befores)} | `{after}` | {time} | {told} | {own} |\n"
        for (verb, after, time, told, own), befores in rows.items()
    )
    return f"\n{head}{''.join(lines)}\n"


def written(guide: Path = GUIDE) -> str:
    """The table that stands in the guide."""
    return guide.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """Write the table into the guide."""
    before, _, rest = GUIDE.read_text(encoding="utf-8").partition(BEGIN)
    GUIDE.write_text(f"{before}{BEGIN}{table()}{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
