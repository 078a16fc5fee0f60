"""Bounds on what `$soonest` reads, gathers and looks for in one go: what a page of some twenty takes, and no more."""

from __future__ import annotations

from datetime import timedelta

GATHERED_MAX = 1_500
"""most kinds of slots whose heads are all gathered; if there are more, those that are read as they come fill a page"""
GATHERED_NEAREST_MAX = 300
"""the same, nearest first and without counts: a circle that holds a page is soon found"""
CIRCLE_M = 300.0
"""radius of the first circle around the point, nearest first"""
CIRCLE_HOLDS = 80
"""fitting kinds that a circle is to hold, estimated from the circles before it"""
CIRCLE_GROWS = 2.0, 16.0
"""by how much the area of a circle grows: at least, and at most"""
READ_FIRST, READ_MAX = 1_000, 20_000
"""rows that are read as they come in one go: at first, and at the most"""
RARE, RARE_AFTER = 0.006, 2_000
"""share of fitting heads below which all that fit are gathered, if possible; and how many heads are read before that"""
AT_AN_INSTANT_MAX = 1_000
"""most slots that begin at one moment of which all are looked at; of more, agendas that fit soon have one"""
AT_AN_INSTANT_FIRST = 60
"""how many agendas that have one are looked for at first"""
LOOKED_AT_FIRST = timedelta(days=28)
"""how far from the start of a later search the first slot of a kind is looked for; farther only if there is none"""
PROBED_FIRST, PROBED_MAX = 48, 400
"""agendas whose first slot is looked for in one go: at first, and at the most"""
