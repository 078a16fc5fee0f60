"""Booking's settings."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from creneau_booking.domain.erasure import KeepingTimes
from creneau_shared.retention.settings import RetentionSettings
from creneau_shared.settings import ServiceSettings


class BookingSettings(ServiceSettings):
    """What booking adds to the settings of every service."""

    hold_duration_s: int = Field(600, description="how long a hold lasts, seconds")
    holds_per_subject_max: int = Field(
        5, description="appointments that one patient's account may hold at once"
    )
    holds_per_client_max: int = Field(1000, description="appointments that one software may hold at once")
    hold_extensions_max: int = Field(2, description="how often one hold may be extended")
    find_window_days_max: int = Field(93, description="longest window that $find searches, days")
    slot_months_ahead: int = Field(15, description="months for which slot partitions are kept ready")
    slot_months_kept: int = Field(24, description="months after which past slots are dropped")

    appointment_kept_days: int = Field(
        730,
        ge=1,
        description="appointments, with the answers to them and what tells of their making, are kept after their date, days",
    )
    request_kept_days: int = Field(
        180,
        ge=1,
        description="requests without a date (proposed, waitlist) are kept after their last change, days",
    )
    erasure_messages_within_h: float = Field(
        24.0,
        description="what a person who was erased is still told (cancellations) leaves within, or not at all, hours",
    )
    erasure_sweep_after_s: float = Field(
        120.0,
        description="an erased person is looked for once more after, seconds: longer than any request may take",
    )
    erasure_sweep_interval_s: float = Field(30.0, description="pause between two such looks, seconds")

    @property
    def keeping_times(self) -> KeepingTimes:
        """How long what an erasure leaves is kept."""
        return KeepingTimes(
            appointments=timedelta(days=self.appointment_kept_days),
            trail=timedelta(days=RetentionSettings().audit_kept_days),
            messages=timedelta(hours=self.erasure_messages_within_h),
        )
