"""Logging in: the pages as a client of the providers who know people (OpenID Connect), and of the deployment's issuer.

Behind it stand facts: an `Identity`, and the `Tokens` with which the FHIR base is asked. Nobody else knows the protocol.
"""
