"""Code systems and value sets as FHIR resources (R4 codesystem.html, valueset.html)."""

from __future__ import annotations

from typing import Any

from creneau_shared.fhir.terminology.model import CodeSystem, Concept, ValueSet

Resource = dict[str, Any]

RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"
CONTEXT_TYPES = (
    ("http://terminology.hl7.org/CodeSystem/usage-context-type", "focus"),
    ("https://gematik.de/fhir/isik/CodeSystem/ContextType", "ResourceUsage"),
)
"""The codes of a code system's use (`useContext`): HL7's, and ISiK's, whose clients search by it
(`CodeSystem?context-type-value=…|ResourceUsage$http://hl7.org/fhir/resource-types|HealthcareService`)."""


def code_system_resource(system: CodeSystem) -> Resource:
    """A CodeSystem. The property `parent` expresses the hierarchy; it allows several parents."""
    hierarchical = any(concept.parents for concept in system.concepts.values())
    closed = any(concept.closed for concept in system.concepts.values())
    resource = _head("CodeSystem", system)
    if system.oid:
        resource["identifier"] = [{"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{system.oid}"}]
    if system.language:
        resource["language"] = system.language
    resource |= _metadata(system, system.contexts) | {"caseSensitive": True}
    if hierarchical:
        resource["hierarchyMeaning"] = "is-a"
    resource["content"] = system.content
    if system.content == "complete":
        # The count is of all codes that the system defines (R4 CodeSystem.count): not known for a fragment.
        resource["count"] = len(system.concepts)
    properties = []
    if hierarchical:
        uri = "http://hl7.org/fhir/concept-properties#parent"
        properties.append({"code": "parent", "uri": uri, "type": "code"})
    if closed:
        uri = "http://hl7.org/fhir/concept-properties#inactive"
        properties.append({"code": "inactive", "uri": uri, "type": "boolean"})
    if properties:
        resource["property"] = properties
    resource["concept"] = [_concept(concept) for concept in system.concepts.values()]
    return resource


def _concept(concept: Concept) -> Resource:
    entry: Resource = {"code": concept.code, "display": concept.display}
    if concept.english:
        entry["designation"] = [{"language": "en", "value": concept.english}]
    properties: list[Resource] = [{"code": "parent", "valueCode": parent} for parent in concept.parents]
    if concept.closed:
        properties.append({"code": "inactive", "valueBoolean": True})
    if properties:
        entry["property"] = properties
    return entry


def value_set_resource(value_set: ValueSet) -> Resource:
    """A ValueSet by its composition, not expanded."""
    resource = _head("ValueSet", value_set) | _metadata(value_set, value_set.contexts)
    return resource | {"compose": dict(value_set.compose)}


def _head(resource_type: str, source: CodeSystem | ValueSet) -> Resource:
    return {"resourceType": resource_type, "id": source.id}


def _metadata(source: CodeSystem | ValueSet, contexts: tuple[str, ...]) -> Resource:
    metadata: Resource = {"url": source.url}
    if source.version:
        metadata["version"] = source.version
    metadata["name"] = source.name
    if source.title:
        metadata["title"] = source.title
    metadata |= {"status": "active", "publisher": source.publisher}
    if contexts:
        metadata["useContext"] = [
            {
                "code": {"system": system, "code": code},
                "valueCodeableConcept": {"coding": [{"system": RESOURCE_TYPES, "code": name}]},
            }
            for name in contexts
            for system, code in CONTEXT_TYPES
        ]
    return metadata
