"""The commands, one function each: they read facts, apply the rules, store the result and publish events.

| subject | where |
|---|---|
| a visit booked, changed, cancelled | `appointments`, with `claiming` and `exchange` for its time |
| a hold, until it is booked or runs out | `holding`, `hold_policy`, `own_holds`, `expiry` |
| answers of a practice or a participant | `asking`, `answers` |
| series, and visits beside others on purpose | `series`, `in_series`, `overbooking` |
| the waiting list | `waiting` |
| who may do it | `access`, `own_word`, `proxys_word`, `manner` |
| an agenda's openings and closures | `openings`, `closing` |
| patients and who acts for them | `people/` |
| calendars, publication, the SAS platform | `outside/` |
"""
