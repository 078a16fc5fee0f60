"""The person and those for whom they act: their records, read and written over the FHIR base."""
