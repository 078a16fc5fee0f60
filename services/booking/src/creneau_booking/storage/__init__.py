"""Booking's tables, and the SQL that reads and writes them.

| what a change is about | where |
|---|---|
| whether a slot is free, who is locked, what is taken | `availability/` |
| a practice's agendas: owners, rules, why they show nothing | `agendas/` |
| slots that an agenda's openings make | `openings/` |
| what is found, and what is found first | `finding/` |
| patients, their representatives, erasure | `people/` |
| feeds, calendars, the SAS platform, publication | `outside/` |
| a Slot as rows, as resource, in numbers, in a search | `slot_rows`, `slots`, `slots_together`, `slot_sync`, `slot_table` |
| an Appointment as facts, and as resource | `appointment_mapper`, `appointments` |
| holds, series, the waiting list | `holds`, `series`, `series_mapper`, `waiting`, `wishes`, `freed` |
| the schema | `tables` |
"""
