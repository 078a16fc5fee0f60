"""The development OIDC issuer: people log in at it, software gets tokens. For one machine, never for production.

`/` is the deployment's own issuer, whose access tokens are for /fhir; `/franceconnect` and `/psc` speak as the two French
providers do. Clients: `creneau-web` (the pages; `creneau-web-franceconnect` and `creneau-web-psc` in the dialects),
`frontend` (public, any loopback address), and by client credentials the roles of `deploy.local.tokens.SCOPES`, whose
secret is `development`.
"""
