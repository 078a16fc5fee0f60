"""Logging in: the pages as a client of the providers who know people (OpenID Connect), and of the deployment's issuer.

It gives facts: an `Identity`, and the `Tokens` for the FHIR base. No other package knows the protocol.
"""
