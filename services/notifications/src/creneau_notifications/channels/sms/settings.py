"""How text messages leave. Each setting comes from the environment."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SmsSettings(BaseSettings):
    """Whether there are text messages."""

    model_config = SettingsConfigDict(env_prefix="", extra="ignore", frozen=True)

    sms_sender: Literal["off", "log"] = Field(
        "off",
        description="off: no text message is planned; log: text messages are planned and logged, not sent; "
        "the pages need the same value",
    )
