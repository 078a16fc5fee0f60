"""What a SAS answer is rendered from: the resources that the search includes, as they are now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from creneau_booking.domain.access_rules import strictest
from creneau_booking.storage.agendas.access_extensions import understood_rules_of
from creneau_booking.storage.openings.extensions import SLOT_NEW_PATIENTS
from creneau_shared.fhir.current import current
from creneau_shared.fhir.search.includes import Row
from creneau_shared.fhir.storage.store import Resource


@dataclass(frozen=True)
class Facts:
    """The included rows by relative reference, parsed on demand. Of names, numbers and addresses only those valid at `now`
    are kept: the rendered resources cannot say that one is a former one."""

    rows: Iterable[Row]
    base_url: str
    now: datetime
    _by_reference: dict[str, Row] = field(init=False, default_factory=dict)
    _read: dict[str, Resource] = field(init=False, default_factory=dict)
    _takes_new_patients: dict[str, bool] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._by_reference.update({f"{row.type}/{row.id}": row for row in self.rows})

    def find(self, reference: str) -> Resource | None:
        """Returns the resource that a reference names; None if it is not among the rows."""
        name = self.relative(reference)
        if name not in self._read and name in self._by_reference:
            self._read[name] = self._as_it_is(orjson.loads(self._by_reference[name].content))
        return self._read.get(name)

    def all(self, resource_type: str) -> list[Resource]:
        """Returns the resources of a type among the rows."""
        names = [name for name in self._by_reference if name.startswith(f"{resource_type}/")]
        return [found for name in names if (found := self.find(name)) is not None]

    def _as_it_is(self, stored: Resource) -> Resource:
        held: Resource = {
            name: current(stored[name], self.now)
            for name in ("identifier", "telecom", "name")
            if _are_several(stored, name)
        }
        if "name" in held:
            held["name"] = held["name"] or stored["name"]
        if "contained" in stored:
            held["contained"] = [self._as_it_is(inner) for inner in stored["contained"]]
        if "organization" in stored:
            held["organization"] = self._without_former(stored["organization"], "identifier")
        return self._without_former({**stored, **held}, "address")

    def _without_former(self, stored: Resource, name: str) -> Resource:
        """Removes the single identifier or address `name`, unless it is valid now."""
        one = stored.get(name)
        holds = not isinstance(one, dict) or current([one], self.now)
        return stored if holds else {key: value for key, value in stored.items() if key != name}

    def relative(self, reference: str) -> str:
        """Returns `Type/id` for a reference to a resource of this base, however it is written."""
        return reference.removeprefix(self.base_url.rstrip("/") + "/").split("/_history/")[0]

    def named(self, references: Iterable[Resource], resource_type: str) -> list[str]:
        """Returns the references to resources of a type, relative, each once."""
        names = (self.relative(reference.get("reference", "")) for reference in references)
        return list(dict.fromkeys(name for name in names if name.startswith(f"{resource_type}/")))

    def takes_new_patients(self, slot: Resource) -> bool:
        """Whether a slot is also for patients whom its practice does not know, as those whom a regulator sends: by its own
        word, else by its agenda's, else by that of the agenda's offers (SQL: `known_patients.KNOWN_ONLY`)."""
        said = (one for one in slot.get("extension", []) if one.get("url") == SLOT_NEW_PATIENTS)
        own = next((value for one in said if isinstance(value := one.get("valueBoolean"), bool)), None)
        if own is not None:
            return own
        name = self.relative(slot["schedule"].get("reference", ""))
        if name not in self._takes_new_patients:
            self._takes_new_patients[name] = not self._is_for_known_patients(self.find(name) or {})
        return self._takes_new_patients[name]

    def _is_for_known_patients(self, agenda: Resource) -> bool:
        named = self.named(agenda.get("actor", []), "HealthcareService")
        offers = [offer for one in named if (offer := self.find(one)) is not None]
        rules = understood_rules_of(agenda).over(strictest(map(understood_rules_of, offers)))
        return rules.known_patients_only is True


def _are_several(stored: Resource, name: str) -> bool:
    """Whether it is a list: a person has names, a place or an organisation one."""
    return isinstance(stored.get(name), list)
