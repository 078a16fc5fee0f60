"""How text messages leave. Each setting comes from the environment."""

from __future__ import annotations

from functools import cache
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from creneau_shared.contact_points import FRENCH_CALLING_CODES, CallingCodes, Countries, countries_of


class SmsSettings(BaseSettings):
    """Whether there are text messages."""

    model_config = SettingsConfigDict(env_prefix="", extra="ignore", frozen=True)

    sms_sender: Literal["off", "log"] = Field(
        "off",
        description="off: no text message is planned; log: text messages are planned and logged, not sent; "
        "the pages need the same value",
    )
    sms_calling_codes: CallingCodes = Field(
        FRENCH_CALLING_CODES,
        description="calling codes of the countries to whose numbers text messages are sent, with commas "
        "between; * for all; booking and the pages need the same value",
    )


@cache
def countries() -> Countries:
    """The countries to which text messages are sent, read once."""
    return countries_of(SmsSettings().sms_calling_codes)
