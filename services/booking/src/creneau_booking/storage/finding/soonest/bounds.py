"""How much `$soonest` reads, gathers and looks for in one go: what a page of some twenty takes, and no more."""

from __future__ import annotations

from datetime import timedelta

GATHERED_MAX = 1_500
"""kinds of slots up to which the heads of all are gathered; of more of them, those that are read as they come hold a page"""
GATHERED_NEAREST_MAX = 300
"""the same, nearest first, where nobody wants them counted: a circle that holds a page is soon found"""
CIRCLE_M = 300.0
"""how far around the point is looked at first, nearest first"""
CIRCLE_HOLDS = 80
"""kinds that fit which a circle is to hold, as far as those before it tell how many there are"""
CIRCLE_GROWS = 2.0, 16.0
"""by how much the area of a circle grows: at the least, and at the most"""
READ_FIRST, READ_MAX = 1_000, 20_000
"""rows that are read as they come in one go: at first, and at the most"""
RARE, RARE_AFTER = 0.006, 2_000
"""of the heads that were read, when they are so many, the share below which all that fit are gathered, if that can be"""
AT_AN_INSTANT_MAX = 1_000
"""slots that begin at one moment up to which all of them are looked at; of more, agendas that fit soon have one"""
AT_AN_INSTANT_FIRST = 60
"""agendas that have one, at first"""
LOOKED_AT_FIRST = timedelta(days=28)
"""from the beginning of a later search on, for the first slot of a kind; after that only where there is none"""
PROBED_FIRST, PROBED_MAX = 48, 400
"""agendas whose first slot is looked for in one go: at first, and at the most"""
