"""Additions and corrections of FHIR R4 (4.0.1) to the model metadata of `fhir.resources.R4B`.

The metadata has the codes of a required binding only where the element's short description lists them, and has no
modifier elements. It describes R4B (4.3.0), which differs from R4 in a few places. All additions and corrections are
in the tables of this module, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


def words(text: str) -> frozenset[str]:
    """The words of a text that lists them."""
    return frozenset(text.split())


RESOURCE_TYPES: Final[frozenset[str]] = words(
    """
    Account ActivityDefinition AdverseEvent AllergyIntolerance Appointment AppointmentResponse
    AuditEvent Basic Binary BiologicallyDerivedProduct BodyStructure Bundle CapabilityStatement CarePlan
    CareTeam CatalogEntry ChargeItem ChargeItemDefinition Claim ClaimResponse ClinicalImpression
    CodeSystem Communication CommunicationRequest CompartmentDefinition Composition ConceptMap Condition
    Consent Contract Coverage CoverageEligibilityRequest CoverageEligibilityResponse DetectedIssue
    Device DeviceDefinition DeviceMetric DeviceRequest DeviceUseStatement DiagnosticReport
    DocumentManifest DocumentReference EffectEvidenceSynthesis Encounter Endpoint EnrollmentRequest
    EnrollmentResponse EpisodeOfCare EventDefinition Evidence EvidenceVariable ExampleScenario
    ExplanationOfBenefit FamilyMemberHistory Flag Goal GraphDefinition Group GuidanceResponse
    HealthcareService ImagingStudy Immunization ImmunizationEvaluation ImmunizationRecommendation
    ImplementationGuide InsurancePlan Invoice Library Linkage List Location Measure MeasureReport Media
    Medication MedicationAdministration MedicationDispense MedicationKnowledge MedicationRequest
    MedicationStatement MedicinalProduct MedicinalProductAuthorization MedicinalProductContraindication
    MedicinalProductIndication MedicinalProductIngredient MedicinalProductInteraction
    MedicinalProductManufactured MedicinalProductPackaged MedicinalProductPharmaceutical
    MedicinalProductUndesirableEffect MessageDefinition MessageHeader MolecularSequence NamingSystem
    NutritionOrder Observation ObservationDefinition OperationDefinition OperationOutcome Organization
    OrganizationAffiliation Parameters Patient PaymentNotice PaymentReconciliation Person PlanDefinition
    Practitioner PractitionerRole Procedure Provenance Questionnaire QuestionnaireResponse RelatedPerson
    RequestGroup ResearchDefinition ResearchElementDefinition ResearchStudy ResearchSubject
    RiskAssessment RiskEvidenceSynthesis Schedule SearchParameter ServiceRequest Slot Specimen
    SpecimenDefinition StructureDefinition StructureMap Subscription Substance SubstanceNucleicAcid
    SubstancePolymer SubstanceProtein SubstanceReferenceInformation SubstanceSourceMaterial
    SubstanceSpecification SupplyDelivery SupplyRequest Task TerminologyCapabilities TestReport
    TestScript ValueSet VerificationResult VisionPrescription
    """
)
"""The concrete resource types of R4 (value set resource-types without its two abstract types)."""

ABSTRACT_RESOURCE_TYPES: Final[frozenset[str]] = frozenset({"Resource", "DomainResource"})

DATA_TYPES: Final[frozenset[str]] = words(
    """
    Address Age Annotation Attachment BackboneElement CodeableConcept Coding ContactDetail ContactPoint
    Contributor Count DataRequirement Distance Dosage Duration Element ElementDefinition Expression
    Extension HumanName Identifier MarketingStatus Meta Money MoneyQuantity Narrative
    ParameterDefinition Period Population ProdCharacteristic ProductShelfLife Quantity Range Ratio
    Reference RelatedArtifact SampledData Signature SimpleQuantity SubstanceAmount Timing
    TriggerDefinition UsageContext base64Binary boolean canonical code date dateTime decimal id instant
    integer markdown oid positiveInt string time unsignedInt uri url uuid xhtml
    """
)
"""The data types of R4 (value set data-types)."""

_TYPE_CODES: Final[frozenset[str]] = RESOURCE_TYPES | ABSTRACT_RESOURCE_TYPES
_ALL_TYPES: Final[frozenset[str]] = _TYPE_CODES | DATA_TYPES | {"Type", "Any"}
_COMPARATORS: Final[frozenset[str]] = frozenset({"<", "<=", ">=", ">"})
_FHIR_VERSIONS: Final[frozenset[str]] = words(
    """
    0.01 0.05 0.06 0.11 0.0.80 0.0.81 0.0.82 0.4.0 0.5.0 1.0.0 1.0.1 1.0.2 1.1.0 1.4.0 1.6.0 1.8.0 3.0.0
    3.0.1 3.3.0 3.5.0 4.0.0 4.0.1
    """
)

ISSUE_TYPES: Final[frozenset[str]] = words(
    """
    invalid structure required value invariant security login unknown expired forbidden suppressed
    processing not-supported duplicate multiple-matches not-found deleted too-long code-invalid
    extension too-costly business-rule conflict transient lock-error no-store exception timeout
    incomplete throttled informational
    """
)
"""OperationOutcome.issue.code (value set issue-type)."""

_EVENT_TIMINGS: Final[frozenset[str]] = words(
    """
    MORN MORN.early MORN.late NOON AFT AFT.early AFT.late EVE EVE.early EVE.late NIGHT PHS HS WAKE C CM
    CD CV AC ACM ACD ACV PC PCM PCD PCV
    """
)

CORRECTED_CODES: Final[Mapping[tuple[str, str], frozenset[str] | None]] = {
    # Required bindings whose codes the metadata does not list.
    ("Age", "comparator"): _COMPARATORS,
    ("Count", "comparator"): _COMPARATORS,
    ("Distance", "comparator"): _COMPARATORS,
    ("Duration", "comparator"): _COMPARATORS,
    ("Quantity", "comparator"): _COMPARATORS,
    ("TimingRepeat", "when"): _EVENT_TIMINGS,
    ("DataRequirement", "type"): _ALL_TYPES,
    ("ParameterDefinition", "type"): _ALL_TYPES,
    ("AuditEvent", "action"): frozenset("CRUDE"),
    ("AuditEvent", "outcome"): frozenset({"0", "4", "8", "12"}),
    ("AuditEventAgentNetwork", "type"): frozenset("12345"),
    ("OperationOutcomeIssue", "code"): ISSUE_TYPES,
    ("CapabilityStatement", "fhirVersion"): _FHIR_VERSIONS,
    ("CapabilityStatementRestResource", "type"): _TYPE_CODES,
    ("OperationDefinition", "resource"): _TYPE_CODES,
    ("OperationDefinitionParameter", "type"): _ALL_TYPES,
    ("SearchParameter", "base"): _TYPE_CODES,
    ("SearchParameter", "target"): _TYPE_CODES,
    ("StructureDefinition", "fhirVersion"): _FHIR_VERSIONS,
    # No closed list: the binding is extensible, or it is to all MIME types.
    ("Expression", "language"): None,
    ("CapabilityStatement", "format"): None,
}
"""(type, element) → its codes, in place of those of the metadata; None: any code."""

R4B_ONLY_TYPES: Final[frozenset[str]] = frozenset({"CodeableReference", "RatioRange"})
"""Data types that R4B added: no element of R4 may have them."""

CHOICES_WITH_META: Final[frozenset[tuple[str, str]]] = frozenset(
    {
        ("Extension", "value"),
        ("ElementDefinition", "defaultValue"),
        ("ElementDefinition", "fixed"),
        ("ElementDefinition", "pattern"),
        ("ElementDefinitionExample", "value"),
    }
)
"""(type, choice) for which R4 allows Meta and the metadata does not."""

MODIFIERS: Final[Mapping[str, frozenset[str]]] = {
    "Address": frozenset({"use"}),
    "Age": frozenset({"comparator"}),
    "ContactPoint": frozenset({"use"}),
    "Count": frozenset({"comparator"}),
    "Distance": frozenset({"comparator"}),
    "Duration": frozenset({"comparator"}),
    "HumanName": frozenset({"use"}),
    "Identifier": frozenset({"use"}),
    "Quantity": frozenset({"comparator"}),
    "Appointment": frozenset({"status"}),
    "AppointmentResponse": frozenset({"participantStatus"}),
    "CapabilityStatement": frozenset({"status"}),
    "CodeSystem": frozenset({"status"}),
    "Communication": frozenset({"status"}),
    "Endpoint": frozenset({"status"}),
    "HealthcareService": frozenset({"active"}),
    "Location": frozenset({"status"}),
    "OperationDefinition": frozenset({"status"}),
    "Organization": frozenset({"active"}),
    "Patient": frozenset({"active", "deceasedBoolean", "deceasedDateTime", "link"}),
    "RelatedPerson": frozenset({"active"}),
    "Schedule": frozenset({"active"}),
    "SearchParameter": frozenset({"status"}),
    "StructureDefinition": frozenset({"status"}),
    "Subscription": frozenset({"status"}),
    "ValueSet": frozenset({"status"}),
}
"""Modifier elements of each type (`?!` in its definition), beside implicitRules and modifierExtension."""

LATER_SPELLINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "Appointment": {"cancellationReason": "cancelationReason", "reason": "reasonCode"},
    "Endpoint": {"payload": "payloadType"},
    "HealthcareService": {"availability": "availableTime", "contact": "telecom"},
    "Location": {"contact": "telecom", "form": "physicalType"},
    "PractitionerRole": {"availability": "availableTime", "contact": "telecom"},
    "Subscription": {"topic": "criteria"},
}
"""R5's names of R4 elements, by type: a hint for clients of a later release."""
