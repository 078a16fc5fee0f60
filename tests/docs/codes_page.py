"""The codes of what is refused and remarked, as the code system and the source have them: `python -m tests.docs.codes_page`
writes the page."""

from __future__ import annotations

from deploy.local.folder import REPOSITORY
from shared.tests.terminology.raised import LISTED, said_by_code

from creneau_shared.fhir.terminology.issue_codes import ISSUE_CODES

PAGE = REPOSITORY / "docs" / "guides" / "codes.md"
_HEAD = """# Codes

The code that an `OperationOutcome` has in `issue.details.coding` (system `https://creneau.sante.fr/fhir/CodeSystem/issue`), \
for programs: the sentence beside it is for people, and says more. `GET [base]/CodeSystem/issue` has them too, and \
`CodeSystem/$lookup` one of them. Beside these, the names of FHIR's invariants (`app-2`, 422) and of primitive types \
(`type-date`, 400) are codes. What to do about a status: [errors](integrator.md#errors).

*Answer*: the status of the refusal; `listed`: one of several things that are wrong with what was sent (400, 403 or 422); \
`warning`, `information`: said beside what was answered.

| code | answer | means | en français |
|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    said = said_by_code(tuple(ISSUE_CODES))
    rows = (
        f"| `{code}` | {_answer(said[code])} | {english} | {french} |\n"
        for code, (french, english) in sorted(ISSUE_CODES.items())
    )
    return f"{_HEAD}{''.join(rows)}"


def _answer(said: frozenset[str]) -> str:
    alone = said - {LISTED} if any(one.isdigit() for one in said) else said
    return ", ".join(sorted(alone))


def written() -> str:
    """The page as it stands."""
    return PAGE.read_text(encoding="utf-8")


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
