"""Booking's tables, and the SQL that reads and writes them.

| what a change is about | where |
|---|---|
| whether a slot is free, who is locked, what is taken and given back | `availability/` |
| a practice's agendas: owners, rules, why they show nothing | `agendas/` |
| slots that an agenda's openings make | `openings/` |
| what is found, and what is found first | `finding/` |
| patients, their representatives, erasure | `people/` |
| feeds, calendars, the SAS platform, publication | `outside/` |
| what is between a resource and its rows | `mapping/` |
| slots written, one by one, together or by difference, and searched | `slots/` |
| appointments, holds, series, the waiting list | `visits/` |
| the schema | `tables` |
"""
