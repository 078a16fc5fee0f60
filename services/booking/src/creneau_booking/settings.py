"""Booking's settings."""

from __future__ import annotations

from datetime import time, timedelta
from pathlib import Path

from pydantic import Field, SecretStr

from creneau_booking.domain.erasure import KeepingTimes
from creneau_booking.domain.openings.days_off import SCHOOL_CALENDAR, SchoolCalendar
from creneau_booking.domain.openings.rules import OpeningLimits
from creneau_booking.domain.waiting import AnswerTime, Patience
from creneau_booking.publishing import ContactRules
from creneau_shared.contact_points import FRENCH_CALLING_CODES, CallingCodes, countries_of
from creneau_shared.retention.rules import WHOLE_MONTH
from creneau_shared.retention.settings import RetentionSettings
from creneau_shared.security.answers import Answers
from creneau_shared.settings import ServiceSettings


class BookingSettings(ServiceSettings):
    """Booking's settings, beside those of every service."""

    hold_duration_s: int = Field(600, description="how long a hold lasts, seconds")
    confirmation_deadline_s: int = Field(
        172_800,
        ge=60,
        description="how long a practice that confirms may take to answer, at most until the visit begins, seconds",
    )
    hold_look_max_s: float = Field(
        30.0, gt=0, description="longest pause between two checks for the next hold that runs out, seconds"
    )
    holds_per_subject_max: int = Field(
        5, description="appointments that one patient's account may hold at once"
    )
    holds_per_client_max: int = Field(1000, description="appointments that one software may hold at once")
    hold_extensions_max: int = Field(2, description="how often one hold may be extended")
    adjacent_slots_max: int = Field(
        4,
        ge=1,
        description="slots that follow each other of which a patient may make one appointment, unless the agenda says"
        " another number",
    )
    series_occurrences_max: int = Field(
        104, ge=2, le=1000, description="appointments of one series that a practice may book at once"
    )
    series_occurrences_per_patient_max: int = Field(
        12, ge=2, le=1000, description="appointments of one series that a patient may book at once"
    )
    proxy_invitation_days: int = Field(
        7, ge=1, description="how long an invitation to represent somebody can be accepted, days"
    )
    future_appointments_per_patient_max: int = Field(
        30, description="appointments to come that a patient may book online"
    )
    future_appointments_per_specialty_max: int = Field(
        20, description="appointments to come that a patient may book online in one speciality"
    )
    future_appointments_per_agenda_max: int = Field(
        5,
        description="appointments to come that a patient may book online in one agenda, unless it says another number",
    )
    bookings_per_account_per_hour_max: int = Field(
        30, description="appointments that one patient's account may book or move in an hour"
    )
    bookings_per_patient_per_hour_max: int = Field(
        20, description="appointments that may be booked or moved online for one patient in an hour"
    )
    bookings_per_counsellor_per_hour_max: int = Field(
        60, description="appointments that one counsellor may book or move in an hour"
    )
    holds_begun_per_account_per_hour_max: int = Field(
        60, description="holds that one patient's account may begin in an hour, whatever becomes of them"
    )
    cancellations_per_account_per_day_max: int = Field(
        20, description="booked appointments cancelled in a day after which a patient's account books no more"
    )
    waiting_answer_share: float = Field(
        0.1,
        gt=0,
        le=1,
        description="how long an offer of the waiting list is kept: this share of the time left until the "
        "visit, between WAITING_ANSWER_MIN_MIN and WAITING_ANSWER_MAX_MIN",
    )
    waiting_answer_min_min: int = Field(
        30,
        ge=1,
        description="shortest time to answer an offer of the waiting list, quiet hours not counted, minutes",
    )
    waiting_answer_max_min: int = Field(
        720,
        ge=1,
        description="longest time to answer an offer of the waiting list, quiet hours not counted, minutes",
    )
    waiting_before_start_min: int = Field(
        60,
        ge=0,
        description="how long before the visit an offer of the waiting list ends at the latest, minutes",
    )
    waiting_quiet_from_h: int = Field(
        20,
        ge=0,
        le=23,
        description="quiet hours: local hour from which the time to answer an offer stands still; from 20 on "
        "text messages wait for the morning",
    )
    waiting_quiet_until_h: int = Field(
        8,
        ge=0,
        le=23,
        description="quiet hours: local hour until which the time to answer an offer stands still",
    )
    waiting_looked_at_once: int = Field(
        20, ge=1, description="people on the waiting list whom one search for a slot's next in line finds"
    )
    waiting_tried_max: int = Field(
        100, ge=1, description="people on the waiting list for whom a slot is tried before it is everybody's"
    )
    requests_per_patient_max: int = Field(
        10, description="requests (proposed, waiting list) that may wait for one patient"
    )
    requests_per_account_max: int = Field(
        20,
        description="requests that may wait for all the people together for whom one patient's account acts",
    )
    patients_per_account_max: int = Field(
        20,
        description="people whom one patient's account may have, and people whom it may register in 30 days",
    )
    patient_changes_per_day_max: int = Field(
        50,
        description="changes of one Patient in a day, by whomever, after which accounts change it no more (429)",
    )
    find_window_days_max: int = Field(93, description="longest window that $find searches, days")
    find_slots_gathered_max: int = Field(
        3_000,
        ge=1,
        description="free slots of one requirement that $find looks through where several agendas are put together",
    )
    soonest_rows_read_max: int = Field(
        100_000, ge=1, description="rows that one $soonest reads where too many agendas fit to gather them"
    )
    first_free_kept_s: float = Field(
        20.0,
        gt=0,
        description="pause between two updates of the index of first free starts for those that have passed, "
        "seconds",
    )
    slot_months_ahead: int = Field(15, description="months for which slot partitions are kept ready")
    slot_months_kept: int = Field(24, description="months after which past slots are dropped")

    sas_platform_url: str = Field(
        "",
        description="FHIR base of the SAS platform, which is told of appointments made for a regulator (INT_R03); empty: it is"
        " told nothing",
    )
    sas_platform_system: str = Field(
        "",
        description="system of our appointments' identifiers at the SAS platform (an OID or a URL of the "
        "operator's); empty: the base's URL",
    )
    sas_platform_certificate: str = Field(
        "", description="file of the client certificate (PEM) by which the SAS platform knows us; empty: none"
    )
    sas_platform_key: str = Field(
        "", description="file of the private key (PEM) of SAS_PLATFORM_CERTIFICATE; empty: in the same file"
    )
    sas_platform_timeout_s: float = Field(
        10.0, gt=0, description="longest that the SAS platform may take, seconds"
    )
    sas_report_interval_s: float = Field(
        5.0, gt=0, description="pause between two checks for appointments to tell the SAS platform, seconds"
    )
    sas_report_delay_first_s: float = Field(
        15.0, gt=0, description="first pause before the SAS platform is told again what failed, seconds"
    )
    sas_report_delay_max_s: float = Field(
        3600.0, gt=0, description="longest pause before the SAS platform is told again what failed, seconds"
    )

    calendar_feed_days: int = Field(
        180, ge=1, description="how far ahead an agenda's calendar address shows visits, days"
    )
    external_calendars: bool = Field(
        False, description="whether practitioners' own calendars (public addresses only) may block their time"
    )
    calendar_secret: SecretStr = Field(
        SecretStr(""),
        description="key that seals the passwords of practitioners' own calendars (CalDAV), the same in API and worker; with"
        " another one practices give them again; empty: only calendars without a password are followed",
    )
    external_calendar_interval_s: float = Field(
        900.0, gt=0, description="pause between two readings of a practitioner's own calendar, seconds"
    )
    external_calendar_look_s: float = Field(
        15.0,
        gt=0,
        description="pause between two checks for a practitioner's own calendar that is due to be read, "
        "seconds",
    )
    external_calendar_days: int = Field(
        93, ge=1, description="how far ahead busy times are taken from a practitioner's own calendar, days"
    )
    external_calendar_bytes_max: int = Field(
        2 * 1024 * 1024, description="largest calendar of a practitioner's own that is read, bytes"
    )
    external_calendar_timeout_s: float = Field(
        15.0, gt=0, description="longest that reading a practitioner's own calendar may take, seconds"
    )

    bulk_publish_folder: str = Field(
        "",
        description="folder where the worker writes the files of `$bulk-publish`, which the entrance serves under /bulk;"
        " empty: nothing is published in bulk",
    )
    bulk_publish_interval_s: float = Field(
        300.0, gt=0, description="pause between two publications in bulk, seconds"
    )
    bulk_publish_days: int = Field(60, ge=1, description="how far ahead slots are published in bulk, days")
    bulk_publish_kept_s: float = Field(
        3600.0, ge=0, description="files that no manifest names any more are kept for, seconds"
    )
    sync_slots_max: int = Field(10_000, ge=1, description="slots that one `$sync-slots` takes")
    openings_horizon_days: int = Field(
        60, ge=1, description="days for which slots are made from an agenda's rules, unless it says otherwise"
    )
    openings_horizon_days_max: int = Field(
        400, ge=1, description="days for which slots are made at most, whatever an agenda says"
    )
    openings_at_once_max: int = Field(
        5000,
        ge=1,
        description="slots that are made from an agenda's rules in one transaction; the others follow",
    )
    openings_slots_max: int = Field(
        20_000, ge=1, description="slots that the rules of one agenda may ask for (422 too-costly)"
    )
    openings_look_s: float = Field(
        5.0,
        gt=0,
        description="pause between two checks of a worker for agendas whose slots are due to be made, seconds",
    )
    school_calendar: str = Field(
        "",
        description="file with further school years, or with what a decree has changed: lines "
        "`known;2027-09-01;2028-09-01` (for each year), then `ABC;2027-10-16;2027-11-02` (zones, first day without school, "
        "day on which it begins again); empty: only those of the release",
    )
    preview_listed_max: int = Field(
        200, ge=1, description="slots and appointments of each kind that $preview-slots lists"
    )
    close_appointments_max: int = Field(
        200, ge=1, description="appointments that one $close lists, moves or cancels"
    )
    close_days_max: int = Field(366, ge=1, description="days that one $close covers at the most")

    rehearsal_hours_ahead: int = Field(
        12,
        ge=0,
        description="hours for which the agenda of the system's own rehearsals has a free slot each; 0: there is none",
    )
    rehearsal_look_s: float = Field(
        60.0,
        gt=0,
        description="pause between two checks of the agenda of the system's own rehearsals, seconds",
    )
    rehearsal_kept_s: float = Field(
        900.0, gt=0, description="how long a rehearsed appointment is kept after its last change, seconds"
    )

    feeds_noted_s: float = Field(
        10.0,
        gt=0,
        description="pause between two records of a process of which software has published agendas, seconds",
    )
    feeds_told_days: int = Field(
        7, ge=1, description="days without a publication after which software is watched no more"
    )
    watch_interval_s: float = Field(
        30.0,
        gt=0,
        description="pause between two checks of a worker on feeds, dead letters and double bookings, seconds",
    )

    contacts_look_s: float = Field(
        60.0,
        gt=0,
        description="pause between two checks for contacts that a period has changed, seconds",
    )

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
        description="how long after an erasure what was written meanwhile about the person is looked for once"
        " more, seconds: longer than any request may take",
    )
    erasure_sweep_interval_s: float = Field(
        30.0,
        description="pause between two checks for erased people who are due to be looked for once more, "
        "seconds",
    )

    sms_calling_codes: CallingCodes = Field(
        FRENCH_CALLING_CODES,
        description="SMS_CALLING_CODES of notifications: of several mobile numbers of a person, one of a country that is"
        " named here is written to; after a change run `creneau-booking republish`",
    )

    @property
    def contact_rules(self) -> ContactRules:
        """Returns how people are told."""
        return ContactRules(Answers(self.vouching_secret), countries_of(self.sms_calling_codes))

    def school_days(self) -> SchoolCalendar:
        """Reads when there is no school: what the release knows and what the operator has added. ValueError or OSError for a
        file that cannot be read."""
        if not self.school_calendar:
            return SCHOOL_CALENDAR
        return SCHOOL_CALENDAR.read(Path(self.school_calendar).read_text(encoding="utf-8"))

    @property
    def opening_limits(self) -> OpeningLimits:
        """Returns how far ahead slots are made from rules, and how many."""
        return OpeningLimits(
            self.openings_horizon_days,
            self.openings_horizon_days_max,
            self.openings_at_once_max,
            self.openings_slots_max,
        )

    @property
    def patience(self) -> Patience:
        """Returns how long the waiting list waits for an answer, and how many people it considers for one slot."""
        return Patience(
            AnswerTime(
                share=self.waiting_answer_share,
                least=timedelta(minutes=self.waiting_answer_min_min),
                most=timedelta(minutes=self.waiting_answer_max_min),
                before_start=timedelta(minutes=self.waiting_before_start_min),
                quiet_from=time(self.waiting_quiet_from_h),
                quiet_until=time(self.waiting_quiet_until_h),
            ),
            self.waiting_looked_at_once,
            self.waiting_tried_max,
        )

    @property
    def site_url(self) -> str:
        """Returns the address of the pages: the FHIR base's without `/fhir`."""
        return self.public_base_url.rstrip("/").removesuffix("/fhir")

    @property
    def keeping_times(self) -> KeepingTimes:
        """Returns how long the data that an erasure leaves is kept."""
        return KeepingTimes(
            appointments=timedelta(days=self.appointment_kept_days),
            trail=timedelta(days=RetentionSettings().audit_kept_days) + WHOLE_MONTH,
            messages=timedelta(hours=self.erasure_messages_within_h),
        )
