"""The page of codes is the code's, and says of each how it is answered."""

from shared.tests.terminology.raised import said_by_code
from tests.docs.codes_page import page, written

from creneau_shared.fhir.terminology.issue_codes import ISSUE_CODES


def test_the_page_has_the_codes_of_the_code() -> None:
    assert written() == page(), "python -m tests.docs.codes_page"


def test_every_code_is_said_somewhere() -> None:
    """A code that nothing says is none that a reader should be told of."""
    assert [code for code, said in said_by_code(tuple(ISSUE_CODES)).items() if not said] == []


def test_how_codes_are_said_is_read_from_the_source() -> None:
    """From the error that bears one, from the function that is called with it, from the table that it stands in."""
    said = said_by_code(tuple(ISSUE_CODES))
    assert said["slot-taken"] == {"409"}
    assert said["too-many-bookings"] == {"429"}
    assert said["too-many-appointments"] == {"422"}
    assert said["care-when"] == said["no-free-slot"] == {"information"}
