"""Availability made from rules: an agenda's opening rules become slots, and their changes become a difference.

`rules` defines the rules, `recurrence` finds their days, `clock` converts local times to instants, `days_off` knows
holidays. `expansion` makes slots of the rules, and `difference` compares those with the stored slots.
"""
