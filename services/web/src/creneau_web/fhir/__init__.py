"""The way to the FHIR base: one client, what it refuses, and how its resources are read."""
