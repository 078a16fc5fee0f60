"""The guide on personal data promises the durations that the settings have, and no class of data is left out."""

from __future__ import annotations

import re

from deploy.local.folder import REPOSITORY
from tests.docs.settings_table import settings_classes

from creneau_booking import jobs as booking
from creneau_booking.settings import BookingSettings
from creneau_directory import jobs as directory
from creneau_notifications import jobs as notifications
from creneau_notifications.settings import NotificationsSettings
from creneau_notifications.storage.communications import Communications
from creneau_shared.retention.rules import Rule
from creneau_shared.retention.settings import RetentionSettings

GUIDE = REPOSITORY / "docs" / "guides" / "donnees-personnelles.md"
UNITS = {"_days": "jours", "_h": "heures", "_kept": "mois"}
NOWHERE = "postgresql://nowhere/never_opened"


def promised() -> dict[str, tuple[int, str]]:
    """Setting → the number and the unit that the guide names."""
    table = GUIDE.read_text(encoding="utf-8").partition("<!-- retention -->")[2].partition("<!-- end")[0]
    rows = re.findall(r"^\| [^|]+ \| (\d+) (\w+)[^|]*\| `([A-Z_]+)` \|", table, re.MULTILINE)
    return {setting: (int(number), unit) for number, unit, setting in rows}


def rules() -> list[Rule]:
    common = RetentionSettings()
    told = NotificationsSettings(database_url=NOWHERE)
    return [
        *booking.rules(BookingSettings(database_url=NOWHERE), common),
        *directory.rules(common),
        *notifications.rules(told, Communications("http://x/fhir", {}), common),
    ]


def test_the_guide_promises_what_the_settings_say() -> None:
    fields = {
        name.upper(): (name, info.default)
        for settings in settings_classes().values()
        for name, info in settings.model_fields.items()
    }
    for setting, (number, unit) in promised().items():
        name, default = fields[setting]
        assert number == default, setting
        assert any(name.endswith(ending) and unit == said for ending, said in UNITS.items()), setting


def test_no_class_of_data_that_is_removed_is_left_out_of_the_guide() -> None:
    assert {rule.setting for rule in rules()} <= promised().keys()


def test_every_kept_setting_is_in_the_guide() -> None:
    """A new setting that says how long something is kept is a promise to people."""
    keeping = re.compile(r"(_kept_(days|h)|_retention_days|_months_kept)$")
    names = {
        name.upper()
        for settings in settings_classes().values()
        for name in settings.model_fields
        if keeping.search(name)
    }
    assert names <= promised().keys()
