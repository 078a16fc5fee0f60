"""The canonicals and code systems of the SAS family (SAS 1.2.0, on FR Core 1.1.0)."""

from __future__ import annotations

from creneau_shared.fhir.profiles import SAS

BUNDLE = SAS + "BundleAgregateur"
SLOT = SAS + "FrSlotAgregateur"
SCHEDULE = SAS + "FrScheduleAgregateur"
PRACTITIONER = SAS + "FrPractitionerAgregateur"
ROLE = SAS + "FrPractitionerRoleExerciceAgregateur"
LOCATION = SAS + "FrLocationAgregateur"

_CPTS = "https://interop.esante.gouv.fr/ig/fhir/sas/StructureDefinition/sas-cpts-"
CPTS_BUNDLE = _CPTS + "bundle-aggregator"
CPTS_SLOT = _CPTS + "slot-aggregator"
CPTS_SERVICE = _CPTS + "healthcareservice-aggregator"
CPTS_ORGANIZATION = _CPTS + "organization-aggregator"

_SOS = "https://interop.esante.gouv.fr/ig/fhir/sas/StructureDefinition/sas-sos-"
SOS_BUNDLE = _SOS + "bundle-aggregator"
SOS_SLOT = _SOS + "slot-aggregator"
SOS_SCHEDULE = _SOS + "schedule-aggregator"
SOS_LOCATION = _SOS + "location-aggregator"
SOS_ORGANIZATION = _SOS + "organization-aggregator"
SOS_VISITS = "https://interop.esante.gouv.fr/ig/fhir/sas/ValueSet/sas-valueset-typeconsultation"
"""Visit types at SOS Médecins: AMB, HH or VR."""
SOS_VISIBILITIES = frozenset({"PUBLIC", "SNP"})
"""The SOS slots' value set: to whom a slot of SOS Médecins may be open."""

IDENTIFIER_TYPE = "http://interopsante.org/fhir/CodeSystem/fr-v2-0203"
LOCATION_IDENTIFIER_TYPE = "http://interopsante.org/fhir/CodeSystem/fr-location-identifier-type"
LOCATION_IDENTIFIER_CODES = frozenset({"INTRN", "EXTRN", "GLBL", "IDNST"})
CPTS_IDENTIFIER_TYPE = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203"
"""The CPTS profiles take FR Core 2's system in a guide that stands on FR Core 1.1.0."""

VISIT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
VISITS = "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode"
"""The codes of VISIT that are visit types: the profiles demand one of them."""
ORDINAL_SPECIALTIES = "http://interopsante.org/fhir/ValueSet/fr-practitioner-specialty"
"""The codes of TRE_R38 that the profiles take."""
APPOINTMENT_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0276"
STRUCTURE_CATEGORY = (
    "https://mos.esante.gouv.fr/NOS/TRE_R66-CategorieEtablissement/FHIR/TRE-R66-CategorieEtablissement"
)
CPTS_CATEGORY = "604"
SERVICE_REFERENCE = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Slot.serviceType"

VISIBILITIES = frozenset({"PUBLIC", "PRO", "SNP"})
"""JDV_J165: to whom a slot of an individual practitioner may be open."""
CPTS_VISIBILITY = "CPTS"
