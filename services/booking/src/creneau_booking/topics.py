"""The topics that booking writes, and the one that it reads."""

from __future__ import annotations

from creneau_shared.messaging.topics import Topic

APPOINTMENTS = Topic(name="creneau.booking.appointments")
CONTACTS = Topic(name="creneau.booking.contacts", compacted=True)
ACCOUNTS = Topic(name="creneau.booking.accounts", compacted=True)
DIRECTORY = "creneau.directory.resources"
