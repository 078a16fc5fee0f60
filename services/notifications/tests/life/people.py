"""How people are reached, and that they are no more; what the directory says of places and professionals."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from services.notifications.tests.life.comparing import mostly, picks
from services.notifications.tests.life.facts import DESCRIBED, PATIENTS, PLACES, ROLES, WORKS, Person
from services.notifications.tests.life.hearing import Hearing
from services.notifications.tests.life.rules import LANDLINE
from services.notifications.tests.life.saying import instant, whens
from services.notifications.tests.life.visiting import patients
from services.notifications.tests.life.world import received

from creneau_notifications.messaging.consumers import (
    CONTACT_TYPE,
    CONTACTS,
    ERASED_TYPE,
    RESOURCE_TYPE,
    RESOURCES,
)

EMAILS = ("ana@exemple.fr", "bao@exemple.fr", "famille@exemple.fr")
PHONES = ("+33639980001", "+33639980002")
emails = st.sampled_from([*EMAILS, *EMAILS, *EMAILS, "pas une adresse", None])
phones = st.sampled_from([*PHONES, *PHONES, *PHONES, LANDLINE, "12", None])
languages = st.sampled_from(["fr", "fr", "en"])


class Told(NamedTuple):
    """One record of a log of contacts."""

    number: int
    kind: str
    time: datetime
    data: dict[str, Any] | None


class People(Hearing):
    """Each has a log; what is in it is heard at once or later."""

    def __init__(self) -> None:
        super().__init__()
        self.contacts: dict[str, list[Told]] = {}
        self.met: dict[str, int] = {}
        """of each person, how many records of their log were heard"""

    def _is_away(self, who: str) -> bool:
        """Whether nobody is to write to them, as far as that was told."""
        log = self.contacts.get(who)
        return not log or log[-1].data is None

    def _put(self, who: str, kind: str, data: dict[str, Any] | None) -> None:
        self.number += 1
        self.contacts.setdefault(who, []).append(Told(self.number, kind, self.model.now, data))

    def _hear_of(self, who: str, what: str, *, anew: bool = False) -> None:
        done = self.met.get(who, 0)
        records = self.contacts.get(who, [])[0 if anew else done :]
        if anew:
            self.handled.clear()
        events = [received(CONTACTS, who, t.kind, t.number, t.time, t.data) for t in records]
        self.loop.run(self.town.hear(CONTACTS, events, anew=anew))
        for told in records:
            if told.number not in self.handled:
                self._understand(who, told)
                self.handled.add(told.number)
        self.met[who] = len(self.contacts.get(who, []))
        self.check(f"{who} {what}: heard {len(records)}")

    def _understand(self, who: str, told: Told) -> None:
        data = told.data
        if told.kind == ERASED_TYPE:
            until = datetime.fromisoformat(data["forgetBy"]) if data else told.time + timedelta(hours=24)
            self.model.erase(who, until, tuple(data["cancelled"]) if data else None)
        elif data is None:
            self.model.lose(who, told.time)
        else:
            vouched = data["emailVouched"]
            person = Person(data.get("email"), data.get("phone"), vouched, data["language"])
            self.model.meet(who, person, told.time)

    @initialize(vouched=st.tuples(mostly, mostly, mostly), there=mostly)
    def begin_known(self, vouched: tuple[bool, bool, bool], there: bool) -> None:
        """Most are known before anything happens."""
        for which in DESCRIBED if there else ():
            self._describe(which, there=True)
        for who, email, phone, sure in zip(PATIENTS, EMAILS, (*PHONES, None), vouched, strict=True):
            self._reach(who, email, phone, sure, "fr")
            self._hear_of(who, f"is at {email} {phone} {sure}")

    @rule(who=patients, email=emails, phone=phones, vouched=mostly, heard=mostly, language=languages)
    def reach(
        self, who: str, email: str | None, phone: str | None, vouched: bool, heard: bool, language: str
    ) -> None:
        """Their contact is told, as it is now."""
        if who in self.erased:
            return
        self._reach(who, email, phone, vouched, language)
        if heard:
            self._hear_of(who, f"is at {email} {phone} {vouched}")

    def _reach(self, who: str, email: str | None, phone: str | None, vouched: bool, language: str) -> None:
        given = {name: value for name, value in (("email", email), ("phone", phone)) if value is not None}
        vouches = {"emailVouched": vouched, "phoneVouched": vouched}
        self._put(
            who, CONTACT_TYPE, {"recipient": who, "name": "Ana B", "language": language, **given, **vouches}
        )

    @precondition(lambda self: any(self._is_away(who) and who not in self.erased for who in PATIENTS))
    @rule(email=emails, phone=phones)
    def come_back(self, email: str | None, phone: str | None) -> None:
        """They were put out of use by mistake."""
        who = next(who for who in PATIENTS if self._is_away(who) and who not in self.erased)
        self._reach(who, email, phone, True, "fr")
        self._hear_of(who, f"comes back to {email} {phone}")

    @precondition(lambda self: self.contacts)
    @rule(pick=picks, anew=st.booleans())
    def hear_of_somebody(self, pick: int, anew: bool) -> None:
        self._hear_of(sorted(self.contacts)[pick % len(self.contacts)], "later", anew=anew)

    @precondition(lambda self: self.contacts)
    @rule(who=patients, how=st.sampled_from(["dead", "out of use"]), heard=mostly)
    def go(self, who: str, how: str, heard: bool) -> None:
        """Nobody is to write to them any more; the visits of the dead are cancelled, and nobody is told."""
        if any(map(self._is_away, PATIENTS)):
            return
        self._put(who, CONTACT_TYPE, None)
        if how == "dead":
            for visit in self.visits.values():
                if visit.patient == who and visit.status in ("booked", "pending"):
                    self.cancel(visit, "provider", recordEnded=True)
        if heard:
            self._hear_of(who, how)

    @precondition(lambda self: self.visits)
    @rule(who=patients, other=patients, heard=mostly)
    def be_replaced(self, who: str, other: str, heard: bool) -> None:
        """Another record takes the place of theirs, and has their visits."""
        if who == other or any(map(self._is_away, PATIENTS)):
            return
        self._put(who, CONTACT_TYPE, None)
        handed = [v for v in self.visits.values() if v.patient == who and v.status in ("booked", "pending")]
        for visit in handed:
            visit.patient = other
            self.tell(visit, "updated")
        if heard:
            self._hear_of(who, f"is replaced by {other}")
            self.hear_visits([visit.id for visit in handed], "handed over")

    @precondition(lambda self: self.visits)
    @rule(who=patients, when=whens, heard=mostly, by_tombstone=st.booleans(), booked=st.booleans())
    def be_erased(
        self, who: str, when: tuple[int, time], heard: bool, by_tombstone: bool, booked: bool
    ) -> None:
        """Their visits are cancelled, also one that was `booked` only just, then they are forgotten; sometimes the tombstone is
        all that is left of it."""
        if self.erased:
            return
        if booked:
            self.tell(
                self.new_visit(who, self.when(*when), ("Practitioner/un", "Location/nord"), "booked"),
                "booked",
            )
        self.erased.add(who)
        cancelled = []
        for visit in self.visits.values():
            if (
                visit.patient == who
                and visit.status in ("booked", "pending")
                and visit.start > self.model.now
            ):
                self.cancel(visit, "patient")
                cancelled.append(visit.id)
        until = instant(self.model.now + timedelta(hours=24))
        told = {
            "patient": who,
            "erasedAt": instant(self.model.now),
            "cancelled": cancelled,
            "forgetBy": until,
        }
        if not by_tombstone:
            self._put(who, ERASED_TYPE, told)
        self._put(who, ERASED_TYPE, None)
        if heard:
            self._hear_of(who, "is erased")

    @precondition(lambda self: self.model.leaving)
    @rule()
    def forget(self) -> None:
        """The worker forgets those who have left."""
        forgotten = self.loop.run(self.town.forget_due())
        for who in forgotten:
            assert self.model.may_be_forgotten(who), f"{who} is forgotten too early"
            self.model.forget(who)
        self.check(f"forgotten: {forgotten}")

    # -- the directory ---------------------------------------------------------------------------------------

    @rule(which=st.sampled_from(DESCRIBED), there=mostly)
    def describe(self, which: str, there: bool) -> None:
        """The directory says something, or that it is no more."""
        self._describe(which, there)
        self.check(f"{which} is {'there' if there else 'gone'}")

    def _describe(self, which: str, there: bool) -> None:
        self.number += 1
        type_, _, id_ = which.partition("/")
        meta = {"versionId": str(self.number), "lastUpdated": instant(self.model.now)}
        resource: dict[str, Any] = {"resourceType": type_, "id": id_, "meta": meta}
        if which in PLACES:
            zone = {"url": "http://hl7.org/fhir/StructureDefinition/timezone", "valueCode": PLACES[which]}
            resource |= {"name": id_, "extension": [zone]}
        elif which in ROLES:
            person, place = {"reference": WORKS}, {"reference": ROLES[which]}
            resource |= {"practitioner": person, "location": [place]}
        else:
            resource |= {"name": [{"family": id_, "given": ["Lou"]}]}
        data = {"resource": resource} if there else None
        event = received(RESOURCES, which, RESOURCE_TYPE, self.number, self.model.now, data)
        self.loop.run(self.town.hear(RESOURCES, [event], anew=False))
        self.model.facts = self.model.facts | {which} if there else self.model.facts - {which}
        self.model.known |= self.model.facts
