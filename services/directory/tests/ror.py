"""A small graph of the ROR, invented: a legal entity, an establishment, a unit; offers in town, of a hospital, for children."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from services.directory.tests.conftest import Directory
from stdnum import luhn

NOS = "https://mos.esante.gouv.fr/NOS/"
ROR = "https://interop.esante.gouv.fr/ig/fhir/ror/StructureDefinition/"
UCUM = "http://unitsofmeasure.org"


def nos(name: str) -> str:
    return f"{NOS}{name}/FHIR/{name.replace('_', '-')}"


TAG = nos("TRE_R30-RegionOM")
R04, R13, R23 = nos("TRE_R04-TypeSavoirFaire"), nos("TRE_R13-CommuneOM"), nos("TRE_R23-ModeExercice")
R66, R210, R211 = (
    nos("TRE_R66-CategorieEtablissement"),
    nos("TRE_R210-ActeSpecifique"),
    nos("TRE_R211-ActiviteOperationnelle"),
)
R213, R227, R244 = (
    nos("TRE_R213-ModePriseEnCharge"),
    nos("TRE_R227-ChampActivite"),
    nos("TRE_R244-CategorieOrganisation"),
)
R329, R330, R331 = (
    nos("TRE_R329-NatureCapacite"),
    nos("TRE_R330-TypeStatutCapacite"),
    nos("TRE_R331-TemporaliteCapacite"),
)
R335, R337, R338 = (
    nos("TRE_R335-TypeSourceCapacite"),
    nos("TRE_R337-AffectationTemporaire"),
    nos("TRE_R338-ModaliteAccueil"),
)
R238 = nos("TRE_R238-OuvertureAnnuelle")
R343, R283, R200 = (
    nos("TRE_R343-FonctionLieu"),
    nos("TRE_R283-NiveauConfidentialite"),
    nos("TRE_R200-CanalCommunication"),
)
G15, FINESS = nos("TRE_G15-ProfessionSante"), "https://finess.esante.gouv.fr"
OWN_TAG = "urn:test:graph"

FACETS = {
    "HealthcareService": {
        "psychiatric-sector", "intervention-zone", "patient-type", "age-range-low", "age-range-high",
        "notavailable-closing-reopeningdate", "_id", "_lastUpdated", "_tag", "identifier", "name", "service-category",
        "service-type", "characteristic", "specialty", "location", "_filter",
    },
    "Location": {
        "near-insee-code", "commune-cog", "capacity-status", "nb-capacity", "capacity-type", "temporality-capacity",
        "gender-capacity-available", "capacity-closing-type", "additional-bed-type", "crisis-type",
        "capacity-update-date", "temporary-assignement", "equipment-type", "equipment-feature", "limit-value",
        "residential-type", "residential-number", "near", "address-postalcode", "address-city", "type", "status",
        "operational-status", "identifier",
    },
    "Organization": {
        "drop-zone", "closing-type", "period-end", "price-type", "price-amount", "identifier", "name", "type", "partof",
    },
}  # fmt: skip
"""The search parameters that the ROR publishes, by type."""


def concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def said(name: str, **value: Any) -> dict[str, Any]:
    """An extension of the ROR's, or a part of one."""
    return {"url": name if "-" not in name else f"{ROR}{name}", **value}


def within(name: str, **parts: Any) -> dict[str, Any]:
    """An extension made of parts: `nbCapacity=("Integer", 3)`."""
    inner = [{"url": part, f"value{kind}": value} for part, (kind, value) in parts.items()]
    return {"url": f"{ROR}{name}", "extension": inner}


CREATED = said("ror-meta-creation-date", valueDateTime="2025-01-10T09:00:00+01:00")


def capacity(status: str, number: int, updated: str, **more: tuple[str, str]) -> dict[str, Any]:
    return within(
        "ror-location-supported-capacity",
        capacityType=("CodeableConcept", concept(R329, "01")),
        capacityStatus=("CodeableConcept", concept(R330, status)),
        temporalityCapacity=("CodeableConcept", concept(R331, "01")),
        nbCapacity=("Integer", number),
        capacitySourceType=("CodeableConcept", concept(R335, "01")),
        capacityUpdateDate=("DateTime", updated),
        temporaryAssignement=("CodeableConcept", concept(R337, "01")),
        **{part: ("CodeableConcept", concept(*coded)) for part, coded in more.items()},
    )


def patients(low: int, high: int, *kinds: str) -> dict[str, Any]:
    age = {
        "low": {"value": low, "system": UCUM, "code": "a"},
        "high": {"value": high, "system": UCUM, "code": "a"},
    }
    inner: list[dict[str, Any]] = [{"url": "ageRange", "valueRange": age}]
    inner += [
        {"url": "supportedPatientInfo", "valueCodeableConcept": concept("urn:j29", kind)} for kind in kinds
    ]
    return {"url": f"{ROR}ror-healthcareservice-patient-type", "extension": inner}


def offer(id_: str, number: str, activity: str, age: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An offer with its mandatory facets; `extension` and `characteristic` of `more` come beside them."""
    extensions = [
        said("ror-healthcareservice-sensitive-unit", valueBoolean=more.pop("sensitive", False)),
        age,
        CREATED,
    ]
    return {
        "resourceType": "HealthcareService",
        "id": id_,
        "meta": {"profile": [f"{ROR}ror-healthcareservice"], **more.pop("meta", {})},
        "extension": [*extensions, *more.pop("extension", ())],
        "identifier": [{"value": number}],
        "name": more.pop("name", "Offre"),
        "type": [concept(R227, more.pop("field", "05"))],
        "specialty": [concept(R211, activity)],
        "characteristic": [concept(R213, more.pop("mode", "32")), *more.pop("characteristic", ())],
        **more,
    }


def finess_number() -> str:
    body = f"{uuid4().int % 10**6:06d}"
    return f"44{body}" + luhn.calc_check_digit(f"44{body}")


@dataclass
class RorGraph:
    """The graph as it was entered: names of ours → ids."""

    directory: Directory
    key: str = field(default_factory=lambda: uuid4().hex[:10])
    numbers: dict[str, str] = field(default_factory=lambda: {name: finess_number() for name in ("ej", "eg")})

    @property
    def tag(self) -> str:
        return f"{OWN_TAG}|{self.key}"

    @property
    def organizations(self) -> dict[str, str]:
        return {name: f"{name}-{self.key}" for name in ("ej", "eg", "oi")}

    @property
    def places(self) -> dict[str, str]:
        return {name: f"{name}-{self.key}" for name in ("nantes", "herblain", "beds")}

    @property
    def offers(self) -> dict[str, str]:
        return {name: f"{name}-{self.key}" for name in ("town", "psy", "children")}

    @property
    def role(self) -> str:
        return f"role-{self.key}"

    @property
    def person(self) -> str:
        return f"person-{self.key}"

    def finess(self, name: str) -> str:
        return f"{FINESS}|{self.numbers[name]}"

    def number(self, name: str) -> str:
        return f"52/{self.key}-{name}"

    def place_number(self, name: str) -> str:
        return f"52/{self.key}{name}"

    @classmethod
    async def entered(cls, directory: Directory) -> RorGraph:
        graph = cls(directory)
        for resource in graph.resources():
            answer = await directory.put(resource)
            assert answer.status_code == 201, answer.text
        return graph

    def meta(self, profile: str) -> dict[str, Any]:
        tags = [{"system": TAG, "code": "52"}, {"system": OWN_TAG, "code": self.key}]
        return {"profile": [f"{ROR}{profile}"], "tag": tags}

    def resources(self) -> list[dict[str, Any]]:
        return [*self._organizations(), *self._places(), *self._offers(), *self._people()]

    def _organizations(self) -> list[dict[str, Any]]:
        meta, kind = self.meta("ror-organization"), "Organization"
        period = "http://hl7.org/fhir/StructureDefinition/organization-period"
        price = within(
            "ror-organization-price",
            priceType=("CodeableConcept", concept("urn:j36", "01")),
            amount=("Money", {"value": 65.5, "currency": "EUR"}),
        )
        ids = self.organizations
        finess = {
            name: {
                "type": concept(nos("TRE_G07-TypeIdentifiantStructure"), "1"),
                "system": FINESS,
                "value": number,
            }
            for name, number in self.numbers.items()
        }
        closing = said("ror-organization-closing-type", valueCodeableConcept=concept("urn:j201", "P"))
        return [
            {"resourceType": kind, "id": ids["ej"], "meta": meta, "name": "Entité juridique",
             "extension": [CREATED, closing, {"url": period, "valuePeriod": {"start": "2020-01-01", "end": "2026-12-31"}}],
             "identifier": [finess["ej"]]},
            {"resourceType": kind, "id": ids["eg"], "meta": meta, "name": "Centre hospitalier inventé",
             "extension": [CREATED, said("ror-organization-drop-zone", valueBoolean=True), price],
             "identifier": [finess["eg"]], "type": [concept(R66, "355")],
             "partOf": {"reference": f"Organization/{ids['ej']}"}},
            {"resourceType": kind, "id": ids["oi"], "meta": meta, "name": "Pôle de ville",
             "extension": [CREATED, said("ror-organization-oi-name", valueString="Pôle de ville")],
             "identifier": [{"type": concept(nos("TRE_R345-TypeIdentifiantAutre"), "42"),
                             "system": "https://oi.esante.gouv.fr", "value": f"52/{self.key}"}],
             "partOf": {"reference": f"Organization/{ids['eg']}"}},
        ]  # fmt: skip

    def _place(
        self, name: str, cog: str, town: str, postcode: str, function: str, *extensions: Any
    ) -> dict[str, Any]:
        return {
            "resourceType": "Location",
            "id": self.places[name],
            "meta": self.meta("ror-location"),
            "extension": [
                said("ror-commune-cog", valueCodeableConcept=concept(R13, cog)),
                CREATED,
                *extensions,
            ],
            "identifier": [{"value": self.place_number(name)}],
            "status": "active",
            "name": f"Lieu {name}",
            "type": [concept(R343, function)],
            "address": {"city": town, "postalCode": postcode},
            "managingOrganization": {"reference": f"Organization/{self.organizations['eg']}"},
        }

    def _places(self) -> list[dict[str, Any]]:
        residence = within(
            "ror-location-residential-capacity",
            residentialType=("CodeableConcept", concept("urn:j32", "T1")),
            residentialNumber=("Integer", 4),
        )
        nantes = self._place("nantes", "44109", "Nantes", "44000", "002", residence)
        nantes["position"] = {"latitude": 47.21725, "longitude": -1.55336}
        herblain = self._place(
            "herblain", "44162", "Saint-Herblain", "44800", "001",
            capacity("01", 20, "2026-10-01T08:00:00Z"),
            capacity("02", 3, "2026-11-10T08:00:00Z", genderCapacityAvailable=("urn:r332", "02")),
        )  # fmt: skip
        herblain["position"] = {"latitude": 47.2115, "longitude": -1.651}
        closed = {"capacityClosingType": ("urn:r333", "03"), "additionalBedType": ("urn:r334", "03")}
        beds = self._place(
            "beds", "29232", "Quimper", "29000", "002",
            capacity("01", 12, "2026-10-02T08:00:00Z", crisisType=("urn:r336", "02"), **closed),
            within("ror-location-equipment", equipmentType=("CodeableConcept", concept("urn:j18", "IRM"))),
            within(
                "ror-location-equipment-limit",
                equipmentFeature=("CodeableConcept", concept("urn:j228", "05")),
                limitValue=("Quantity", {"value": 250, "system": UCUM, "code": "kg"}),
            ),
        )  # fmt: skip
        beds |= {
            "status": "suspended",
            "operationalStatus": {"system": "http://terminology.hl7.org/CodeSystem/v2-0116", "code": "O"},
        }
        beds["position"] = {"latitude": 47.99597, "longitude": -4.09795}
        return [nantes, herblain, beds]

    def _offers(self) -> list[dict[str, Any]]:
        meta, ids = self.meta("ror-healthcareservice"), self.offers

        def offered(
            which: str, by: str, at: str, activity: str, age: dict[str, Any], **more: Any
        ) -> dict[str, Any]:
            return offer(
                ids[which], self.number(which), activity, age, meta=meta,
                providedBy={"reference": f"Organization/{self.organizations[by]}"},
                location=[{"reference": f"Location/{self.places[at]}"}], **more,
            )  # fmt: skip

        zone = within(
            "ror-territorial-division",
            typeTerritorialDivision=("CodeableConcept", concept("urn:j223", "COM")),
            codeTerritorialDivision=("CodeableConcept", concept(R13, "44109")),
        )
        psy = {
            "category": [concept(R244, "102")],
            "characteristic": [
                concept(R338, "01"),
                {"extension": [said("ror-act-type", valueCode="specificAct")], **concept(R210, "0626")},
            ],
            "extension": [said("ror-healthcareservice-psychiatric-sector", valueString="44G05")],
        }
        closing = {"id": "closingReopeningDate", "description": "Date de réouverture ou de fermeture", "during": {
            "start": "2026-12-20", "end": "2027-01-04"}}  # fmt: skip
        return [
            offered("town", "oi", "nantes", "437", patients(0, 120), name="Consultations de médecine générale", extension=[zone]),
            offered("psy", "eg", "herblain", "233", patients(18, 99, "CAN"), field="02", mode="28", **psy),
            offered("children", "ej", "beds", "481", patients(0, 17), notAvailable=[closing],
                    category=[concept(R244, "62")]),
        ]  # fmt: skip

    def _people(self) -> list[dict[str, Any]]:
        mode = said("ror-practitionerrole-unit-exercise-mode", valueCodeableConcept=concept(R23, "L"))
        return [
            {
                "resourceType": "Practitioner",
                "id": self.person,
                "name": [{"family": "INVENTÉE", "given": ["Alba"]}],
            },
            {
                "resourceType": "PractitionerRole",
                "id": self.role,
                "meta": self.meta("ror-practitionerrole"),
                "extension": [CREATED, mode],
                "practitioner": {"reference": f"Practitioner/{self.person}"},
                "organization": {"reference": f"Organization/{self.organizations['oi']}"},
                "code": [concept(G15, "10")],
                "specialty": [concept(R04, "S")],
                "healthcareService": [{"reference": f"HealthcareService/{self.offers['town']}"}],
            },
        ]

    async def many_offers(self, count: int) -> str:
        """Enter `count` offers by Bundles; the tag that they bear."""
        key = uuid4().hex[:10]
        meta = {"profile": [f"{ROR}ror-healthcareservice"], "tag": [{"system": OWN_TAG, "code": key}]}
        entries = []
        for number in range(count):
            one = offer(f"many-{key}-{number}", f"52/{key}-{number}", "437", patients(0, 120), meta=meta)
            url = f"HealthcareService/{one['id']}"
            entries.append({"resource": one, "request": {"method": "PUT", "url": url}})
        for start in range(0, count, 100):
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries[start : start + 100]}
            answer = await self.directory.client.post("/fhir", json=bundle)
            assert answer.status_code == 200, answer.text
        return f"{OWN_TAG}|{key}"

    async def circle(self) -> tuple[str, str]:
        """Two organisations of which each is a part of the other, as they could be written before that was refused."""
        first, second = f"circle-{uuid4().hex[:8]}", f"circle-{uuid4().hex[:8]}"
        for one, other in ((first, None), (second, first)):
            above = {"partOf": {"reference": f"Organization/{other}"}} if other else {}
            number = {"identifier": [{"system": "urn:circle", "value": one}]}
            answer = await self.directory.put({"resourceType": "Organization", "id": one, **number, **above})
            assert answer.status_code == 201, answer.text
        async with self.directory.database.connection() as connection:
            await connection.execute(
                "UPDATE organization SET terms = terms || $2::text WHERE id = $1",
                first,
                f"partof=Organization/{second}",
            )
        return first, second
