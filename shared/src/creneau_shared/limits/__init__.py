"""How much one caller may ask for: counted for the deployment, not for a process.

`callers.py` says for whom a request counts, `costs.py` how much, `leases.py` keeps the count in a process's memory,
`storage.py` in the service's database. Why so: docs/adr/2026-11-28-limits-for-the-deployment.md.
"""
