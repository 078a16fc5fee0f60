"""What the guide for frontends says that a patient may say is what the server lets them say."""

from __future__ import annotations

from tests.docs.patient_elements_table import table, written


def test_the_guide_has_the_code_s_table() -> None:
    """When this fails: python -m tests.docs.patient_elements_table."""
    assert written() == table()
