"""The search parameters of the ROR beyond R4 (its guide's own), under the ROR's canonicals.

Parameters of one extension hold together in one occurrence: three free beds for men are not three beds and a bed for men.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from creneau_shared.fhir.search.parameters import ParameterType, SearchParameter

ROR: Final = "https://interop.esante.gouv.fr/ig/fhir/ror/"
_EXTENSION: Final = f"{ROR}StructureDefinition/"
_BOOLEAN: Final = "http://hl7.org/fhir/special-values"


def _extension(resource_type: str, name: str) -> str:
    return f"{resource_type}.extension.where(url='{_EXTENSION}{name}')"


_PATIENT_TYPE: Final = _extension("HealthcareService", "ror-healthcareservice-patient-type")
_CAPACITY: Final = _extension("Location", "ror-location-supported-capacity")
_EQUIPMENT: Final = _extension("Location", "ror-location-equipment")
_EQUIPMENT_LIMIT: Final = _extension("Location", "ror-location-equipment-limit")
_RESIDENCE: Final = _extension("Location", "ror-location-residential-capacity")
_PRICE: Final = _extension("Organization", "ror-organization-price")

_WITHIN: Final[tuple[tuple[str, ParameterType, str, str, str], ...]] = (
    ("capacity-type", "token", _CAPACITY, "capacityType", "ror-sp-capacity-type"),
    ("capacity-status", "token", _CAPACITY, "capacityStatus", "ror-sp-capacity-status"),
    ("temporality-capacity", "token", _CAPACITY, "temporalityCapacity", "ror-sp-temporality-capacity"),
    ("nb-capacity", "number", _CAPACITY, "nbCapacity", "ror-sp-nb-capacity"),
    ("capacity-source-type", "token", _CAPACITY, "capacitySourceType", "ror-sp-capacity-source-type"),
    ("gender-capacity-available", "token", _CAPACITY, "genderCapacityAvailable", "ror-sp-gender-capacity-available"),
    ("capacity-closing-type", "token", _CAPACITY, "capacityClosingType", "ror-sp-capacity-closing-type"),
    ("additional-bed-type", "token", _CAPACITY, "additionalBedType", "ror-sp-additional-bed-type"),
    ("crisis-type", "token", _CAPACITY, "crisisType", "ror-sp-crisis-type"),
    ("capacity-update-date", "date", _CAPACITY, "capacityUpdateDate", "ror-sp-capacity-update-date"),
    ("temporary-assignement", "token", _CAPACITY, "temporaryAssignement", "ror-sp-temporary-assignement"),
    ("equipment-type", "token", _EQUIPMENT, "equipmentType", "ror-sp-equipment-type"),
    ("equipment-feature", "token", _EQUIPMENT_LIMIT, "equipmentFeature", "ror-sp-equipment-feature"),
    ("limit-value", "quantity", _EQUIPMENT_LIMIT, "limitValue", "ror-sp-limit-value"),
    ("residential-type", "token", _RESIDENCE, "residentialType", "ror-sp-residential-type"),
    ("residential-number", "number", _RESIDENCE, "residentialNumber", "ror-sp-residential-number"),
    ("price-type", "token", _PRICE, "priceType", "ror-sp-organization-price-type"),
    ("price-unit", "token", _PRICE, "priceUnit", "ror-sp-organization-price-unit"),
    ("price-amount", "quantity", _PRICE, "amount", "ror-sp-organization-price-amount"),
    ("price-start-date", "date", _PRICE, "startDate", "ror-sp-organization-price-start-date"),
    ("price-residential-type", "token", _PRICE, "residentialType", "ror-sp-organization-price-residential-type"),
    ("price-welcome-type", "token", _PRICE, "welcomeType", "ror-sp-organization-price-welcome-type"),
    ("price-dependency-level", "token", _PRICE, "dependencyLevel", "ror-sp-organization-price-dependency-level"),
    ("price-management-type", "token", _PRICE, "managementType", "ror-sp-organization-price-management-type"),
    ("price-special-price", "token", _PRICE, "specialPrice", "ror-sp-organization-price-special-price"),
)  # fmt: skip
"""name, type, the extension, the part of it, the canonical's last part"""


def ror_parameters(resource_type: str) -> Iterator[SearchParameter]:
    """The ROR's own parameters of a type."""
    for name, kind, occurrence, part, id_ in _WITHIN:
        if occurrence.startswith(f"{resource_type}."):
            yield _parameter(
                resource_type,
                name,
                kind,
                f"{occurrence}.extension.where(url='{part}').value",
                id_,
                occurrence=occurrence,
                repeats=True,
            )
    if resource_type == "HealthcareService":
        yield from _of_offers()
    elif resource_type == "Location":
        yield from _of_places()
    elif resource_type == "Organization":
        yield from _of_organizations()


def _of_offers() -> Iterator[SearchParameter]:
    base = "HealthcareService"
    sector = f"{_extension(base, 'ror-healthcareservice-psychiatric-sector')}.value"
    yield _parameter(
        base, "psychiatric-sector", "string", sector, "ror-sp-healthcareservice-psychiatric-sector"
    )
    zone = _extension(base, "ror-territorial-division")
    yield _parameter(
        base,
        "intervention-zone",
        "token",
        f"{zone}.extension.where(url='typeTerritorialDivision').value"
        f" | {zone}.extension.where(url='codeTerritorialDivision').value",
        "ror-sp-healthcareservice-intervention-zone",
    )
    patients = f"{_PATIENT_TYPE}.extension.where(url='supportedPatientInfo').value"
    yield _parameter(base, "patient-type", "token", patients, "ror-sp-healthcareservice-patient-type")
    for end in ("low", "high"):
        age = f"{_PATIENT_TYPE}.extension.where(url='ageRange').value.{end}"
        name = f"age-range-{end}"
        yield _parameter(base, name, "quantity", age, f"ror-sp-healthcareservice-{name}", unit="a")
    closing = f"{base}.notAvailable.where(id='closingReopeningDate').during"
    yield _parameter(
        base,
        "notavailable-closing-reopeningdate",
        "date",
        closing,
        "ror-sp-healthcareservice-notavailable-closing-reopeningdate",
        repeats=True,
    )


def _of_places() -> Iterator[SearchParameter]:
    base = "Location"
    commune = f"{_extension(base, 'ror-commune-cog')}.value"
    yield _parameter(base, "commune-cog", "token", commune, "ror-sp-location-commune-cog")
    yield _parameter(
        base,
        "near-insee-code",
        "special",
        "Location.position",
        "ror-sp-location-near-insee-code",
        same_as="near",
    )
    gender = f"{_CAPACITY}.extension.where(url='genderCapacityAvailable').value"
    yield _parameter(
        base,
        "gender-capacity",
        "token",
        gender,
        "ror-sp-gender-capacity",
        same_as="gender-capacity-available",
        occurrence=_CAPACITY,
        repeats=True,
    )


def _of_organizations() -> Iterator[SearchParameter]:
    base = "Organization"
    drop = f"{_extension(base, 'ror-organization-drop-zone')}.value"
    yield _parameter(base, "drop-zone", "token", drop, "ror-sp-organization-drop-zone", system=_BOOLEAN)
    closing = f"{_extension(base, 'ror-organization-closing-type')}.value"
    yield _parameter(base, "closing-type", "token", closing, "ror-sp-organization-closing-type")
    name = f"{_extension(base, 'ror-organization-oi-name')}.value"
    yield _parameter(base, "oi-name", "string", name, "ror-sp-organization-oi-name")
    period = "Organization.extension.where(url='http://hl7.org/fhir/StructureDefinition/organization-period').value"
    yield _parameter(base, "period-end", "date", f"{period}.end", "ror-sp-organization-period-end")


def _parameter(
    base: str,
    name: str,
    kind: ParameterType,
    expression: str,
    id_: str,
    *,
    system: str | None = None,
    same_as: str | None = None,
    occurrence: str | None = None,
    unit: str | None = None,
    repeats: bool = False,
) -> SearchParameter:
    return SearchParameter(
        name=name,
        type=kind,
        base=base,
        expression=expression,
        url=f"{ROR}SearchParameter/{id_}",
        description=f"{base} resources by {name} (ROR)",
        code_system=system,
        same_as=same_as,
        occurrence=occurrence,
        unit=unit,
        repeats=repeats,
    )
