"""The guide's table of an appointment's life is the code's."""

from tests.docs.transitions_table import table, written


def test_the_guide_has_the_table_of_the_code() -> None:
    assert written() == table(), "python -m tests.docs.transitions_table"
