"""One waiting list: three people who wait for a cardiologist, in the weeks in which there is no time left."""

from __future__ import annotations

from datetime import datetime, timedelta

from deploy.demo.codes import Resource
from deploy.demo.population import Population, Post

PROFESSION, TOWN = "cardiologie", "Rennes"
WAITED_FOR = timedelta(days=20)
WAITING_AGENDA = "https://creneau.sante.fr/fhir/StructureDefinition/waiting-agenda"
PEOPLE = (
    ("Élise", "Fontaine", "1948-03-02", None),
    ("Bastien", "Le Goff", "1962-10-21", 2),
    ("Awa", "Sarr", "1979-06-11", None),
)
"""given name, family name, birth, and how urgent the practice says that it is (1 to 9)"""


def waited_for(people: Population) -> Post:
    """The agenda for which they wait."""
    posts = [p for p in people.posts if p.professional.profession.key == PROFESSION]
    return next((p for p in posts if p.practice.commune.name == TOWN), posts[0])


def patients() -> list[Resource]:
    """The people, with addresses to which nothing is sent."""
    return [
        {
            "resourceType": "Patient",
            "id": f"demo-attente-{number}",
            "active": True,
            "name": [{"use": "official", "family": family, "given": [given]}],
            "birthDate": birth,
            "telecom": [{"system": "email", "value": f"demo-attente-{number}@exemple.fr"}],
        }
        for number, (given, family, birth, _) in enumerate(PEOPLE, 1)
    ]


def requests(people: Population, start: datetime) -> list[Resource]:
    """What they wait for, from `start` on."""
    agenda = f"Schedule/{waited_for(people).id}"
    period = {"start": f"{start:%Y-%m-%d}", "end": f"{start + WAITED_FOR:%Y-%m-%d}"}
    return [
        {
            "resourceType": "Appointment",
            "id": f"demo-attente-{number}",
            "status": "waitlist",
            **({"priority": priority} if priority else {}),
            "requestedPeriod": [period],
            "extension": [{"url": WAITING_AGENDA, "valueReference": {"reference": agenda}}],
            "participant": [{"actor": {"reference": f"Patient/demo-attente-{number}"}, "status": "accepted"}],
        }
        for number, (_, _, _, priority) in enumerate(PEOPLE, 1)
    ]
