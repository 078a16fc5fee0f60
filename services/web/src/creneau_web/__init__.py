"""Créneau's pages: what a person sees, made from the public FHIR base alone."""
