"""Limits of the requests of one caller, counted for the deployment, not for a process.

`callers.py`: for whom a request counts; `costs.py`: how much; `leases.py`: the count in a process's memory;
`storage.py`: the count in the service's database. Reasons: docs/adr/2026-11-28-limits-for-the-deployment.md.
"""
