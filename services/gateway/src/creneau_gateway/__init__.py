"""The system level of the one FHIR base: what no single service can answer.

nginx sends everything that names a type to the service that has it. The rest comes here: batch and transaction Bundles, the
CapabilityStatement of the whole, system history and search, the conformance resources. The process keeps nothing and holds
no rule: it splits, asks the services, and puts their answers together.
"""
