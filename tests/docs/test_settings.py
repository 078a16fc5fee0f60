"""The operator's table of settings is the code's: each setting, its default and what it is for."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError
from tests.docs.settings_table import TITLES, settings_classes, table, written

LEANING = re.compile(
    r"^(?:and|as|its|such|that|the same|these|those)\b"
    r"|\b(?:such|likewise|one of (?:these|them)|of these|two looks|a look)\b|\bfile of its\b"
)
"""what cannot be read without the line before: operators meet a setting by itself, in a search or a compose file"""


def test_every_class_of_settings_has_its_place() -> None:
    assert set(settings_classes()) == set(TITLES)


def test_every_setting_says_what_it_is_for() -> None:
    silent = [
        f"{name}.{field}"
        for name, settings in settings_classes().items()
        for field, info in settings.model_fields.items()
        if not info.description
    ]
    assert silent == []


def test_every_setting_is_understood_by_itself() -> None:
    leaning = [
        f"{name}.{field}: {info.description}"
        for name, settings in settings_classes().items()
        for field, info in settings.model_fields.items()
        if LEANING.search(info.description or "")
    ]
    assert leaning == []


def test_the_guide_has_the_code_s_table() -> None:
    """When this fails: python -m tests.docs.settings_table."""
    assert written() == table(settings_classes())


def test_no_process_starts_with_calling_codes_that_are_none() -> None:
    """Nor does it find out at a page or a message: whoever reads the setting checks it."""
    readers = [s for s in settings_classes().values() if "sms_calling_codes" in s.model_fields]
    for settings in readers:
        for wrong in ("33;262", "", "33,0"):
            with pytest.raises(ValidationError) as refused:
                settings(sms_calling_codes=wrong)
            assert ("sms_calling_codes",) in [error["loc"] for error in refused.value.errors()], settings
