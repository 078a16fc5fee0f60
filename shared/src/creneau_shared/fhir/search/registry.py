"""The registry: every standard R4 search parameter of the served types, and Créneau's own.

Source: FHIR R4 search-parameters (names, types, expressions, targets); parameters that R4 lacks come from the
French guides (GAP, SAS, Annuaire Santé) under their canonicals, or are Créneau's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from creneau_shared.fhir.search.parameters import (
    ANY_TYPE,
    HL7_CANONICAL,
    OWN_CANONICAL,
    ParameterType,
    SearchParameter,
)
from creneau_shared.fhir.search.ror_parameters import ror_parameters

_BOOLEAN = "http://hl7.org/fhir/special-values"
_ADDRESS_USE = "http://hl7.org/fhir/address-use"
_GENDER = "http://hl7.org/fhir/administrative-gender"
_PARTICIPATION = "http://hl7.org/fhir/participationstatus"
_GAP = "https://interop.esante.gouv.fr/ig/fhir/gap/SearchParameter/"
_SAS = "https://interop.esante.gouv.fr/ig/fhir/sas/SearchParameter/"
_ANNUAIRE = "https://interop.esante.gouv.fr/ig/fhir/annuaire/SearchParameter/"

_OWN_EXTENSION = "https://creneau.sante.fr/fhir/StructureDefinition/"

_ACTORS = (
    "Practitioner", "Device", "Patient", "HealthcareService", "PractitionerRole", "RelatedPerson", "Location",
)  # fmt: skip
_AGENTS = ("Practitioner", "Organization", "Device", "Patient", "PractitionerRole", "RelatedPerson")
_RECIPIENTS = (
    "PractitionerRole", "Group", "Organization", "CareTeam", "Device", "Patient", "HealthcareService",
    "Practitioner", "RelatedPerson",
)  # fmt: skip
_SENDERS = (
    "Practitioner", "Organization", "Device", "Patient", "PractitionerRole", "RelatedPerson",
    "HealthcareService",
)  # fmt: skip
_INSTANTIABLE = ("Questionnaire", "Measure", "PlanDefinition", "OperationDefinition", "ActivityDefinition")
_REASONS = ("Condition", "Observation", "Procedure", "ImmunizationRecommendation")

# In R4 one definition serves several person types: `individual-email`, not `Patient-email`.
_INDIVIDUAL: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(
        ("address", "address-city", "address-country", "address-postalcode", "address-state", "address-use",
         "gender", "phonetic"),
        frozenset({"Patient", "Practitioner", "RelatedPerson"}),
    ),
    **dict.fromkeys(
        ("email", "phone", "telecom"),
        frozenset({"Patient", "Practitioner", "PractitionerRole", "RelatedPerson"}),
    ),
    **dict.fromkeys(("family", "given"), frozenset({"Patient", "Practitioner"})),
    "birthdate": frozenset({"Patient", "RelatedPerson"}),
}  # fmt: skip


class _Base:
    """Collects the parameters of one resource type."""

    def __init__(self, resource_type: str) -> None:
        self.resource_type = resource_type
        self.parameters: dict[str, SearchParameter] = {}

    def add(
        self,
        kind: ParameterType,
        name: str,
        expression: str,
        *,
        targets: tuple[str, ...] = (),
        system: str | None = None,
        instant: bool = False,
        repeats: bool = False,
        same_as: str | None = None,
        computed: bool = False,
        url: str | None = None,
        description: str | None = None,
    ) -> None:
        base = self.resource_type
        if url is None:
            shared = base in _INDIVIDUAL.get(name, ())
            url = f"{HL7_CANONICAL}{'individual' if shared else base}-{name.lstrip('_')}"
        self.parameters[name] = SearchParameter(
            name=name,
            type=kind,
            base=base,
            expression=expression,
            url=url,
            description=description or f"{base} resources by {expression}",
            targets=targets,
            code_system=system,
            instant=instant,
            repeats=repeats,
            same_as=same_as,
            computed=computed,
        )

    def tokens(self, **elements: str) -> None:
        """Tokens whose name is the keyword with hyphens and whose element is given relative to the type."""
        for name, element in elements.items():
            self.add("token", name.replace("_", "-"), f"{self.resource_type}.{element}")

    def codes(self, **elements: tuple[str, str]) -> None:
        """Tokens of primitive elements: element and the system that it implies."""
        for name, (element, system) in elements.items():
            self.add("token", name.replace("_", "-"), f"{self.resource_type}.{element}", system=system)

    def references(self, **elements: tuple[str, tuple[str, ...]]) -> None:
        """References: element and target types."""
        for name, (element, targets) in elements.items():
            self.add("reference", name.replace("_", "-"), f"{self.resource_type}.{element}", targets=targets)

    def typed_references(self, element: str, **targets: str) -> None:
        """References to one type only among those that the element may name."""
        for name, target in targets.items():
            expression = f"{self.resource_type}.{element}.where(resolve() is {target})"
            self.add("reference", name, expression, targets=(target,))

    def strings(self, **elements: str) -> None:
        """Strings: element relative to the type."""
        for name, element in elements.items():
            self.add("string", name.replace("_", "-"), f"{self.resource_type}.{element}")

    def address(self) -> None:
        """The six address parameters of persons, organisations and places."""
        self.strings(
            address="address",
            address_city="address.city",
            address_country="address.country",
            address_postalcode="address.postalCode",
            address_state="address.state",
        )
        self.codes(address_use=("address.use", _ADDRESS_USE))

    def telecom(self) -> None:
        """telecom, email and phone."""
        self.tokens(telecom="telecom")
        for name in ("email", "phone"):
            self.add("token", name, f"{self.resource_type}.telecom.where(system='{name}')")

    def person(self) -> None:
        """The parameters that every person can be found by."""
        self.codes(active=("active", _BOOLEAN), gender=("gender", _GENDER))
        self.tokens(identifier="identifier")
        self.strings(name="name", phonetic="name")
        self.address()
        self.telecom()


def _resource(base: _Base) -> None:
    canonical = f"{HL7_CANONICAL}Resource-"
    base.add("token", "_id", "Resource.id", url=canonical + "id")
    base.add("date", "_lastUpdated", "Resource.meta.lastUpdated", instant=True, url=canonical + "lastUpdated")
    base.add("token", "_tag", "Resource.meta.tag", url=canonical + "tag")
    base.add("uri", "_profile", "Resource.meta.profile", url=canonical + "profile")
    base.add("token", "_security", "Resource.meta.security", url=canonical + "security")
    base.add("uri", "_source", "Resource.meta.source", url=canonical + "source")
    base.add(
        "string",
        "_text",
        "",
        url=f"{HL7_CANONICAL}DomainResource-text",
        description="Resources by the words of their narrative (AND, OR, NOT, parentheses, phrases)",
    )
    base.add(
        "string",
        "_content",
        "",
        url=canonical + "content",
        description="Resources by all their words (AND, OR, NOT, parentheses, phrases)",
    )
    base.add(
        "special",
        "_filter",
        "",
        url=f"{OWN_CANONICAL}Resource-filter",
        description="Resources by an expression (FHIR R4 search_filter.html, which gives it no definition)",
    )


def _organization(base: _Base) -> None:
    base.codes(active=("active", _BOOLEAN))
    base.tokens(identifier="identifier", type="type")
    base.add("string", "name", "Organization.name | Organization.alias")
    base.strings(phonetic="name")
    base.address()
    base.references(endpoint=("endpoint", ("Endpoint",)), partof=("partOf", ("Organization",)))


def _location(base: _Base) -> None:
    base.tokens(identifier="identifier", operational_status="operationalStatus", type="type")
    base.codes(status=("status", "http://hl7.org/fhir/location-status"))
    base.add("string", "name", "Location.name | Location.alias")
    base.address()
    base.add("special", "near", "Location.position")
    base.references(
        endpoint=("endpoint", ("Endpoint",)),
        organization=("managingOrganization", ("Organization",)),
        partof=("partOf", ("Location",)),
    )


def _healthcare_service(base: _Base) -> None:
    base.codes(active=("active", _BOOLEAN))
    base.tokens(
        characteristic="characteristic",
        identifier="identifier",
        program="program",
        service_category="category",
        service_type="type",
        specialty="specialty",
    )
    base.add(
        "token",
        "type",
        "HealthcareService.type",
        same_as="service-type",
        url=OWN_CANONICAL + "HealthcareService-type",
        description="Offers by their type (ISiK and BaRS call service-type so)",
    )
    base.strings(name="name")
    base.references(
        coverage_area=("coverageArea", ("Location",)),
        endpoint=("endpoint", ("Endpoint",)),
        location=("location", ("Location",)),
        organization=("providedBy", ("Organization",)),
    )


def _practitioner(base: _Base) -> None:
    base.person()
    base.tokens(communication="communication")
    base.strings(family="name.family", given="name.given")
    base.add(
        "token",
        "qualification-code",
        "Practitioner.qualification.code",
        url=_ANNUAIRE + "as-sp-qualification-code",
        description="Practitioners by a diploma, profession or skill (Annuaire Santé)",
    )


def _practitioner_role(base: _Base) -> None:
    base.codes(active=("active", _BOOLEAN))
    base.tokens(identifier="identifier", role="code", specialty="specialty")
    base.add("date", "date", "PractitionerRole.period")
    base.telecom()
    base.references(
        endpoint=("endpoint", ("Endpoint",)),
        location=("location", ("Location",)),
        organization=("organization", ("Organization",)),
        practitioner=("practitioner", ("Practitioner",)),
        service=("healthcareService", ("HealthcareService",)),
    )


def _organization_affiliation(base: _Base) -> None:
    base.codes(active=("active", _BOOLEAN))
    base.tokens(identifier="identifier", role="code", specialty="specialty")
    base.add("date", "date", "OrganizationAffiliation.period")
    base.telecom()
    base.references(
        endpoint=("endpoint", ("Endpoint",)),
        location=("location", ("Location",)),
        network=("network", ("Organization",)),
        participating_organization=("participatingOrganization", ("Organization",)),
        primary_organization=("organization", ("Organization",)),
        service=("healthcareService", ("HealthcareService",)),
    )


def _endpoint(base: _Base) -> None:
    base.tokens(connection_type="connectionType", identifier="identifier", payload_type="payloadType")
    base.codes(status=("status", "http://hl7.org/fhir/endpoint-status"))
    base.strings(name="name")
    base.references(organization=("managingOrganization", ("Organization",)))


def _device(base: _Base) -> None:
    base.tokens(identifier="identifier", type="type")
    base.codes(status=("status", "http://hl7.org/fhir/device-status"))
    name = "Device.deviceName.name | Device.type.coding.display | Device.type.text"
    base.add("string", "device-name", name)
    base.strings(
        manufacturer="manufacturer",
        model="modelNumber",
        udi_carrier="udiCarrier.carrierHRF",
        udi_di="udiCarrier.deviceIdentifier",
    )
    base.references(
        location=("location", ("Location",)),
        organization=("owner", ("Organization",)),
    )
    base.add("uri", "url", "Device.url")


def _schedule(base: _Base) -> None:
    base.codes(active=("active", _BOOLEAN))
    base.tokens(
        identifier="identifier",
        service_category="serviceCategory",
        service_type="serviceType",
        specialty="specialty",
    )
    base.references(actor=("actor", _ACTORS))
    base.add("date", "date", "Schedule.planningHorizon")


def _slot(base: _Base) -> None:
    base.tokens(
        appointment_type="appointmentType",
        identifier="identifier",
        service_category="serviceCategory",
        service_type="serviceType",
        specialty="specialty",
    )
    base.codes(status=("status", "http://hl7.org/fhir/slotstatus"))
    base.references(schedule=("schedule", ("Schedule",)))
    base.add("date", "start", "Slot.start", instant=True)
    base.add(
        "date",
        "end",
        "Slot.end",
        instant=True,
        url=OWN_CANONICAL + "Slot-end",
        description="Slots by the instant when they end (R6 has it, R4 has not)",
    )
    base.add(
        "token",
        "bookable",
        f"Slot.extension.where(url='{_OWN_EXTENSION}bookable').value",
        system=_BOOLEAN,
        computed=True,
        url=OWN_CANONICAL + "Slot-bookable",
        description="Slots that the booking window and the minimum notice of their agenda let patients book now (true), "
        "from their start to their end (whole: of open time a part is not enough), or not (false); computed when it is "
        "asked for",
    )
    base.add(
        "reference",
        "bookable-by",
        f"Slot.extension.where(url='{_OWN_EXTENSION}bookable-by').value",
        targets=("Patient",),
        computed=True,
        url=OWN_CANONICAL + "Slot-bookable-by",
        description="Slots whose agenda takes people of the age of this patient, or of one of these; computed when it "
        "is asked for",
    )
    base.add(
        "reference",
        "service-type-reference",
        "Slot.serviceType.extension.where(url='http://hl7.org/fhir/5.0/StructureDefinition/"
        "extension-Slot.serviceType').value",
        targets=("HealthcareService",),
        url=_SAS + "cptsslot-sp-servicetype",
        description="Slots by the offer that they belong to (SAS, CPTS)",
    )


def _appointment(base: _Base) -> None:
    base.tokens(
        appointment_type="appointmentType",
        identifier="identifier",
        reason_code="reasonCode",
        service_category="serviceCategory",
        service_type="serviceType",
        specialty="specialty",
    )
    base.codes(
        part_status=("participant.status", _PARTICIPATION),
        status=("status", "http://hl7.org/fhir/appointmentstatus"),
    )
    base.references(
        actor=("participant.actor", _ACTORS),
        based_on=("basedOn", ("ServiceRequest",)),
        reason_reference=("reasonReference", _REASONS),
        slot=("slot", ("Slot",)),
        supporting_info=("supportingInformation", (ANY_TYPE,)),
    )
    base.typed_references(
        "participant.actor", location="Location", patient="Patient", practitioner="Practitioner"
    )
    base.add("date", "date", "Appointment.start", instant=True)
    _appointment_beyond_r4(base)


def _appointment_beyond_r4(base: _Base) -> None:
    base.add(
        "date",
        "start",
        "Appointment.start",
        instant=True,
        same_as="date",
        url=_GAP + "GAP-Appointment-earliestStart",
        description="Appointments by the instant when they start (GAP; the same as date)",
    )
    base.add(
        "date",
        "end",
        "Appointment.end",
        instant=True,
        url=OWN_CANONICAL + "Appointment-end",
        description="Appointments by the instant when they end",
    )
    base.add(
        "date",
        "created",
        "Appointment.created",
        url=_GAP + "GAP-Appointment-created",
        description="Appointments by the date when they were made (GAP)",
    )
    base.add(
        "date",
        "requested-period",
        "Appointment.requestedPeriod",
        repeats=True,
        url=OWN_CANONICAL + "Appointment-requested-period",
        description="Appointments by the periods that were asked for",
    )
    base.add(
        "string",
        "description",
        "Appointment.comment | Appointment.description",
        url=_GAP + "GAP-Appointment-description",
        description="Appointments by their description or comment (GAP)",
    )
    base.add(
        "number",
        "priority",
        "Appointment.priority",
        url=OWN_CANONICAL + "Appointment-priority",
        description="Appointments by iCalendar priority, 1 (highest) to 9, 0 undefined (in GAP a token)",
    )


def _appointment_response(base: _Base) -> None:
    base.tokens(identifier="identifier")
    base.codes(part_status=("participantStatus", _PARTICIPATION))
    base.references(actor=("actor", _ACTORS), appointment=("appointment", ("Appointment",)))
    base.typed_references("actor", location="Location", patient="Patient", practitioner="Practitioner")


def _patient(base: _Base) -> None:
    base.person()
    base.add("date", "birthdate", "Patient.birthDate")
    base.add("date", "death-date", "(Patient.deceased as dateTime)")
    base.add("token", "deceased", "Patient.deceased.exists() and Patient.deceased != false", system=_BOOLEAN)
    base.tokens(language="communication.language")
    base.strings(family="name.family", given="name.given")
    base.references(
        general_practitioner=("generalPractitioner", ("Practitioner", "Organization", "PractitionerRole")),
        link=("link.other", ("Patient", "RelatedPerson")),
        organization=("managingOrganization", ("Organization",)),
    )


def _related_person(base: _Base) -> None:
    base.person()
    base.add("date", "birthdate", "RelatedPerson.birthDate")
    base.tokens(relationship="relationship")
    base.references(patient=("patient", ("Patient",)))


def _communication(base: _Base) -> None:
    base.tokens(category="category", identifier="identifier", medium="medium")
    base.codes(status=("status", "http://hl7.org/fhir/event-status"))
    base.references(
        based_on=("basedOn", (ANY_TYPE,)),
        encounter=("encounter", ("Encounter",)),
        instantiates_canonical=("instantiatesCanonical", _INSTANTIABLE),
        part_of=("partOf", (ANY_TYPE,)),
        recipient=("recipient", _RECIPIENTS),
        sender=("sender", _SENDERS),
        subject=("subject", ("Group", "Patient")),
    )
    base.typed_references("subject", patient="Patient")
    base.add("uri", "instantiates-uri", "Communication.instantiatesUri")
    base.add("date", "received", "Communication.received")
    base.add("date", "sent", "Communication.sent")


def _audit_event(base: _Base) -> None:
    """Those of R4 by which everything that an event shows is found. It has no address, site, policy or name of an entity;
    names of agents are looked up when it is read, and its source is a name without a reference."""
    base.codes(
        action=("action", "http://hl7.org/fhir/audit-event-action"),
        outcome=("outcome", "http://hl7.org/fhir/audit-event-outcome"),
    )
    base.tokens(
        agent_role="agent.role",
        altid="agent.altId",
        entity_role="entity.role",
        entity_type="entity.type",
        subtype="subtype",
        type="type",
    )
    base.add("date", "date", "AuditEvent.recorded", instant=True)
    base.references(
        agent=("agent.who", _AGENTS),
        entity=("entity.what", (ANY_TYPE,)),
    )
    base.add(
        "reference",
        "patient",
        "AuditEvent.agent.who.where(resolve() is Patient) | "
        "AuditEvent.entity.what.where(resolve() is Patient)",
        targets=("Patient",),
    )


def _provenance(base: _Base) -> None:
    base.tokens(agent_role="agent.role", agent_type="agent.type", signature_type="signature.type")
    base.references(
        agent=("agent.who", _AGENTS),
        entity=("entity.what", (ANY_TYPE,)),
        location=("location", ("Location",)),
        target=("target", (ANY_TYPE,)),
    )
    base.typed_references("target", patient="Patient")
    base.add("date", "recorded", "Provenance.recorded", instant=True)
    base.add("date", "when", "(Provenance.occurred as dateTime)")


_BUILDERS = {
    "Organization": _organization,
    "Location": _location,
    "HealthcareService": _healthcare_service,
    "Practitioner": _practitioner,
    "PractitionerRole": _practitioner_role,
    "OrganizationAffiliation": _organization_affiliation,
    "Endpoint": _endpoint,
    "Device": _device,
    "Schedule": _schedule,
    "Slot": _slot,
    "Appointment": _appointment,
    "AppointmentResponse": _appointment_response,
    "Patient": _patient,
    "RelatedPerson": _related_person,
    "Communication": _communication,
    "AuditEvent": _audit_event,
    "Provenance": _provenance,
}


_CLIMBING = {"Organization": dict.fromkeys(("identifier", "type", "name", "_lastUpdated"), "partof")}
"""Parameters that take `:above` for the resources of which a resource is a part (ROR), and the reference to them."""

_OF_SLOTS = {"token": frozenset({"text"}), "uri": frozenset({"below"})}
"""Modifiers that Slot's narrow rows cannot answer: they keep no words of a code, and no type of a status."""


def _without(parameter: SearchParameter) -> frozenset[str]:
    """The modifiers that the table of the parameter's type refuses."""
    if parameter.base != "Slot":
        return frozenset()
    refused = _OF_SLOTS.get(parameter.type, frozenset())
    return refused | {"ofType"} if parameter.name == "status" else refused


def _build() -> Mapping[str, Mapping[str, SearchParameter]]:
    registry: dict[str, Mapping[str, SearchParameter]] = {}
    for resource_type, builder in _BUILDERS.items():
        base = _Base(resource_type)
        _resource(base)
        builder(base)
        base.parameters |= {parameter.name: parameter for parameter in ror_parameters(resource_type)}
        for name, reference in _CLIMBING.get(resource_type, {}).items():
            base.parameters[name] = replace(base.parameters[name], climbs=reference)
        registry[resource_type] = MappingProxyType(
            {name: replace(one, without=_without(one)) for name, one in base.parameters.items()}
        )
    return MappingProxyType(registry)


REGISTRY: Mapping[str, Mapping[str, SearchParameter]] = _build()
"""Resource type → parameter name → parameter."""


def parameters_of(resource_type: str) -> Mapping[str, SearchParameter]:
    """Every parameter of a type by its name, Resource's included; empty for a type that is not searched."""
    return REGISTRY.get(resource_type, MappingProxyType({}))


def find_parameter(resource_type: str, name: str) -> SearchParameter | None:
    """The parameter called `name`; a capital first letter is tolerated (BaRS, SAS `Identifier`)."""
    known = parameters_of(resource_type)
    return known.get(name) or known.get(name[:1].lower() + name[1:])


@dataclass(frozen=True, slots=True)
class StorageNeeds:
    """Which side tables and columns the parameters of a type need (see `fhir.storage.tables`)."""

    strings: bool
    dates: bool
    numbers: bool
    position: bool
    occurrences: bool = False


def storage_needs(resource_type: str) -> StorageNeeds:
    """The needs of all the parameters of a type; a token needs strings for `:text`."""
    parameters = [p for p in parameters_of(resource_type).values() if not p.name.startswith("_")]
    return StorageNeeds(
        strings=any(p.type in ("string", "token") for p in parameters),
        dates=any(p.type == "date" for p in parameters),
        numbers=any(p.type in ("number", "quantity") for p in parameters),
        position=any(p.type == "special" for p in parameters),
        occurrences=any(p.occurrence is not None for p in parameters),
    )
