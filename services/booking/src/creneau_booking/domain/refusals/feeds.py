"""Refusals: slots that practices' software sends, and bookings in agendas that it no longer synchronises."""

from __future__ import annotations

from dataclasses import dataclass

from creneau_shared.refusal import Refusal


@dataclass(eq=False)
class AgendaNotUpToDate(Refusal):
    """The agenda's (id) software has not synchronised it within the time that it states."""

    schedule: str


@dataclass(eq=False)
class TooManySlots(Refusal):
    """More slots are sent at once than `most`."""

    most: int


@dataclass(eq=False)
class PageOfSlots(Refusal):
    """What is sent as the whole of a period is a page of a longer list: the rest of it would be deleted."""


@dataclass(eq=False)
class SlotOfAnotherAgenda(Refusal):
    """One of the slots that are sent (the `number`th) names another agenda."""

    number: int
    reference: str


@dataclass(eq=False)
class SlotOutsideWindow(Refusal):
    """One of the slots that are sent (the `number`th) does not start within the synchronised period."""

    number: int


@dataclass(eq=False)
class SlotSentTwice(Refusal):
    """Two of the slots that are sent have the same id."""

    id: str


@dataclass(eq=False)
class AgendaWrittenMeanwhile(Refusal):
    """Others kept writing the slots of the agenda (id) while it was synchronised."""

    schedule: str


@dataclass(eq=False)
class NewAgendaBusy(Refusal):
    """A slot moves to another agenda (id), while somebody takes or frees time of that agenda's people."""

    schedule: str
