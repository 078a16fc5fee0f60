"""Booking's settings."""

from __future__ import annotations

from pydantic import Field

from creneau_shared.settings import ServiceSettings


class BookingSettings(ServiceSettings):
    """What booking adds to the settings of every service."""

    hold_duration_s: int = Field(600, description="how long a hold lasts, seconds")
    holds_per_subject_max: int = Field(
        5, description="appointments that one patient's account may hold at once"
    )
    holds_per_client_max: int = Field(1000, description="appointments that one software may hold at once")
    hold_extensions_max: int = Field(2, description="how often one hold may be extended")
    proxy_invitation_days: int = Field(
        7, ge=1, description="how long an invitation to represent somebody can be accepted, days"
    )
    find_window_days_max: int = Field(93, description="longest window that $find searches, days")
    slot_months_ahead: int = Field(15, description="months for which slot partitions are kept ready")
    slot_months_kept: int = Field(24, description="months after which past slots are dropped")
