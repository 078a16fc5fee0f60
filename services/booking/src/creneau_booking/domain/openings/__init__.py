"""Availability made from rules: what an agenda states of its time becomes slots, and what changes becomes a difference.

`rules` says what can be stated, `recurrence` on which days it holds, `clock` when that is, `days_off` what is closed,
`expansion` makes slots of it, and `difference` compares them with those that there are.
"""
