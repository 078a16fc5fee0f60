"""A fictional region over real communes: Brittany and its neighbours, Paris, La Réunion and Guyane.

`build` gives every resource to publish, in an order in which each comes after what it refers to. Everything
but the days depends on the files in `data/` and a fixed seed only, and every id is given here: loading twice
changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cache
from itertools import groupby

from deploy.demo import group, resources, sas, waiting
from deploy.demo.codes import Resource
from deploy.demo.openings import stated_by_rules, with_openings
from deploy.demo.population import Population, Post, populate
from deploy.demo.slots import free_slots

DAYS = 8 * 7
"""How far ahead the agendas are open, days."""

Region = dict[str, list[Resource]]
"""Resource type → resources, the types in the order of loading."""


@cache
def population() -> Population:
    """Everyone and every place of the region."""
    return populate()


def build(start: datetime) -> Region:
    """Every resource of the region, the free slots from the instant `start` (with its zone) on."""
    if start.tzinfo is None:
        raise ValueError("the start needs a zone")
    people = population()
    ruled = stated_by_rules(people)
    region: Region = {
        "Organization": [resources.organization(practice) for practice in people.practices],
        "Location": [resources.location(practice) for practice in people.practices],
        "HealthcareService": [resources.healthcare_service(posts) for posts in _offers(people)],
        "Practitioner": [resources.practitioner(person) for person in people.professionals],
        "PractitionerRole": [resources.practitioner_role(post, start, DAYS) for post in people.posts],
        "Schedule": [resources.schedule(post, start, DAYS) for post in people.posts],
        "Slot": [slot for post in people.posts if post != ruled for slot in free_slots(post, start, DAYS)],
        "Patient": waiting.patients(),
        "Appointment": waiting.requests(people, start),
    }
    for index, schedule in enumerate(region["Schedule"]):
        if schedule["id"] == ruled.id:
            region["Schedule"][index] = with_openings(schedule, ruled, start, DAYS)
    for resource in (*sas.graph(start), *group.graph(people, start, DAYS)):
        region[resource["resourceType"]].append(resource)
    return region


def _offers(people: Population) -> Iterator[list[Post]]:
    """The posts that share an offer."""
    for _, posts in groupby(sorted(people.posts, key=resources.service_id), key=resources.service_id):
        yield list(posts)
