"""The operator's table of settings, as the code has it.

`python -m tests.docs.settings_table` writes it into the guide.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import deploy.gateway
from deploy.local.folder import REPOSITORY
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

import creneau_booking
import creneau_directory
import creneau_gateway
import creneau_notifications
import creneau_shared
import creneau_web
from creneau_shared.settings import ServiceSettings

GUIDE = REPOSITORY / "docs" / "guides" / "operator.md"
BEGIN, END = "<!-- settings -->\n", "<!-- end of settings -->\n"

TITLES = {
    "ServiceSettings": "Every process of the three services",
    "AsyncSettings": "Asynchronous requests",
    "MessagingSettings": "The workers' messaging",
    "RetentionSettings": "What every service keeps, and how long",
    "BookingSettings": "Booking",
    "DirectorySettings": "Directory",
    "LoadSettings": "Directory: loading of national files",
    "NotificationsSettings": "Notifications",
    "EmailSettings": "Notifications: e-mail",
    "SmsSettings": "Notifications: text messages",
    "GatewaySettings": "Gateway",
    "WebSettings": "Pages",
    "OpsSettings": "Pages: the operator's page",
    "RehearsalSettings": "Pages: the rehearsal",
    "EntranceSettings": "nginx (where its configuration is written)",
}
"""Settings class → its heading, in the order of the guide."""


def settings_classes() -> dict[str, type[BaseSettings]]:
    """Every class of settings in the product, wherever it stands."""
    found: dict[str, type[BaseSettings]] = {}
    for package in (
        creneau_shared,
        creneau_booking,
        creneau_directory,
        creneau_gateway,
        creneau_notifications,
        creneau_web,
        deploy.gateway,
    ):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.rpartition(".")[2] == "settings":
                found |= dict(_defined_in(module.name))
    return found


def _defined_in(module: str) -> Iterator[tuple[str, type[BaseSettings]]]:
    for name, value in vars(importlib.import_module(module)).items():
        if inspect.isclass(value) and issubclass(value, BaseSettings) and value.__module__ == module:
            yield name, value


def table(classes: dict[str, type[BaseSettings]]) -> str:
    """The part of the guide between BEGIN and END; KeyError when a class has no title."""
    order = sorted(classes, key=list(TITLES).index)
    parts = []
    for name in order:
        fields = _own_fields(classes[name])
        if fields:
            rows = "".join(_row(field, info) for field, info in fields.items())
            parts.append(f"\n**{TITLES[name]}**\n\n| setting | default | |\n|---|---|---|\n{rows}")
    return "".join(parts) + "\n"


def _own_fields(settings: type[BaseSettings]) -> dict[str, FieldInfo]:
    inherited = ServiceSettings.model_fields if settings is not ServiceSettings else {}
    shared = inherited if issubclass(settings, ServiceSettings) else {}
    return {name: info for name, info in settings.model_fields.items() if name not in shared}


def _row(name: str, info: FieldInfo) -> str:
    if info.is_required():
        default = "**required**"
    elif info.default in ("", None):
        default = "–"
    else:
        value = str(info.default).lower() if isinstance(info.default, bool) else f"{info.default}"
        default = f"`{value}`"
    if isinstance(info.default, SecretStr):
        default = "–"
    return f"| `{name.upper()}` | {default} | {info.description} |\n"


def written(guide: Path = GUIDE) -> str:
    """The table that stands in the guide."""
    return guide.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """Write the table into the guide."""
    before, _, rest = GUIDE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    GUIDE.write_text(before + BEGIN + table(settings_classes()) + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
