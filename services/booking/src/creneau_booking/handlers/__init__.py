"""What is done, one command a function: facts are read, the rules judge them, what follows is stored and told.

| what a change is about | where |
|---|---|
| a visit booked, changed, cancelled | `appointments`, with `claiming` and `exchange` for its time |
| a hold, until it is booked or runs out | `holding`, `hold_policy`, `own_holds`, `expiry` |
| a practice or a participant that answers | `asking`, `answers` |
| series, groups and visits beside the agenda | `series`, `in_series`, `overbooking` |
| the waiting list | `waiting` |
| who may do it | `access`, `own_word`, `proxys_word`, `manner` |
| an agenda's openings and closures | `openings`, `closing` |
| patients and who acts for them | `people/` |
| calendars, publication, the SAS platform | `outside/` |
"""
