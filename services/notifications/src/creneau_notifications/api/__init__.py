"""The pages that messages lead to: the only HTTP beside FHIR that this service answers."""
