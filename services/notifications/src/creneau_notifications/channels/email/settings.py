"""How e-mail leaves. Each setting names its unit; each comes from the environment."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, FilePath
from pydantic_settings import BaseSettings, SettingsConfigDict

ANSWERS = 7
"""EHLO, STARTTLS, EHLO, AUTH, MAIL, RCPT, DATA: what a server may answer before it has the message"""


class EmailSettings(BaseSettings):
    """The mail server, and in whose name it is spoken to."""

    model_config = SettingsConfigDict(env_prefix="", extra="ignore", frozen=True)

    smtp_url: str = Field(
        "",
        description="smtp://user:password@host:port (STARTTLS, see SMTP_TLS) or smtps://… (TLS from the first byte); "
        "empty: e-mails are logged, not sent",
    )
    smtp_tls: Literal["required", "opportunistic", "off"] = Field(
        "required",
        description="for smtp://: encrypt and verify the server, or send nothing; encrypt where the server offers it; "
        "never, for a mail server on this machine",
    )
    smtp_ca: FilePath | None = Field(
        None, description="file of the CAs (PEM) that vouch for the mail server; none: the system's"
    )
    smtp_timeout_s: float = Field(20.0, description="longest wait for one answer of the SMTP server, seconds")
    smtp_final_timeout_s: float = Field(
        120.0,
        description="longest wait for the SMTP server's answer to a whole message, which is sent again "
        "without one, seconds; 7 × SMTP_TIMEOUT_S (connecting, and the answers before it) + "
        "SMTP_FINAL_TIMEOUT_S must stay below three quarters of DELIVERY_LEASE_S, or no sender "
        "starts",
    )
    mail_from: str = Field(
        "ne-pas-repondre@creneau.example",
        description="sender of e-mails; its domain is in Message-ID",
    )
    mail_from_name: str = Field("Créneau", description="name shown beside the sender's address")

    def check_one_sending_ends(self, within: timedelta) -> None:
        """ValueError where the server may be waited for as long as `within`, or longer: a claim would end meanwhile."""
        longest = timedelta(seconds=ANSWERS * self.smtp_timeout_s + self.smtp_final_timeout_s)
        if self.smtp_url and longest >= within:
            raise ValueError(
                f"One e-mail may take {longest.total_seconds():g} s ({ANSWERS} × SMTP_TIMEOUT_S + SMTP_FINAL_TIMEOUT_S), and"
                f" DELIVERY_LEASE_S leaves it {within.total_seconds():g} s (three quarters): lower the first two or raise"
                " DELIVERY_LEASE_S, or messages would be sent twice"
            )
