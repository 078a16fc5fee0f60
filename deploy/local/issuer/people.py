"""Who can log in at the development issuer: test people, and any patient whom one invents on the page.

The professionals are those of the demonstration data (deploy/demo): their ids, numbers and practices lead somewhere.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from creneau_shared.roles import Role
from deploy.demo.population import Population, Post, slug
from deploy.demo.region import population
from deploy.local.tokens import Holder

FRANCE = "99100"
RENNES = "35238"


@dataclass(frozen=True)
class Exercise:
    """One situation in which a professional practises."""

    profession: str
    """TRE_G15"""
    specialty: str
    """TRE_R38, empty for none"""
    place: str
    organization: str
    """id of the Organization in the demonstration data"""
    finess: str
    siret: str


@dataclass(frozen=True)
class Person:
    """A person who can log in. Dates: YYYY-MM-DD; places: INSEE codes."""

    key: str
    role: Role
    given_names: str = ""
    family_name: str = ""
    """of birth"""
    usual_name: str = ""
    birth_date: str = ""
    sex: str = ""
    """female or male"""
    birth_place: str = ""
    birth_country: str = ""
    email: str = ""
    about: str = ""
    about_en: str = ""
    practitioner: str = ""
    rpps: str = ""
    organizations: tuple[str, ...] = ()
    exercises: tuple[Exercise, ...] = ()

    @property
    def name(self) -> str:
        """As they are called: the first given name, the usual name."""
        return f"{self.given_names.split(' ')[0]} {self.usual_name or self.family_name}"

    @property
    def national_id(self) -> str:
        """IDNPS: 8 and the RPPS number; empty without one."""
        return f"8{self.rpps}" if self.rpps else ""

    def holder(self, subject: str) -> Holder:
        """The person as the holder of a deployment token."""
        return Holder(
            self.role,
            subject,
            organizations=self.organizations,
            practitioner=self.practitioner or None,
            national_id=self.national_id or None,
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(kept: dict[str, Any]) -> Person:
        exercises = tuple(Exercise(**exercise) for exercise in kept["exercises"])
        return Person(**(kept | {"organizations": tuple(kept["organizations"]), "exercises": exercises}))


CITIZENS = (
    Person(
        "camille-martin",
        "patient",
        "Camille Jeanne",
        "MARTIN",
        birth_date="1988-05-14",
        sex="female",
        birth_place=RENNES,
        birth_country=FRANCE,
        email="camille.martin@exemple.fr",
        about="patiente",
        about_en="patient",
    ),
    Person(
        "karim-haddad",
        "patient",
        "Karim",
        "HADDAD",
        birth_date="1985-09-02",
        sex="male",
        birth_place="35288",
        birth_country=FRANCE,
        email="karim.haddad@exemple.fr",
        about="père de Lina, six ans, pour laquelle il prend rendez-vous",
        about_en="father of Lina, six years old, for whom he books",
    ),
    Person(
        "yvonne-lefort",
        "patient",
        "Yvonne Thi Mai",
        "NGUYEN",
        usual_name="LEFORT",
        birth_date="1942-01-01",
        sex="female",
        birth_country="99243",
        email="yvonne.lefort@exemple.fr",
        about="patiente, née à l'étranger, qui porte un autre nom que celui de sa naissance",
        about_en="patient, born abroad, with another name than at birth",
    ),
)

HELPERS = (
    Person(
        "nadia-roussel",
        "counsellor",
        "Nadia",
        "ROUSSEL",
        email="nadia.roussel@exemple.fr",
        about="conseillère d'une maison France services",
        about_en="counsellor at a public service counter",
    ),
    Person(
        "marc-leclerc",
        "operator",
        "Marc",
        "LECLERC",
        email="marc.leclerc@exemple.fr",
        about="exploitant de la plateforme",
        about_en="operator of the platform",
    ),
)

GENERAL_PRACTITIONER = "demo-payet-26"
DERMATOLOGIST = "demo-bianchi-6"
"""in two places"""


@cache
def people() -> dict[str, Person]:
    """The test people by their keys, in the order in which the page shows them."""
    everyone = population()
    doctor = _professional(everyone, GENERAL_PRACTITIONER, "médecin généraliste", "general practitioner")
    second = _professional(
        everyone, DERMATOLOGIST, "dermatologue, dans deux lieux", "dermatologist, in two places"
    )
    place = doctor.exercises[0]
    secretary = Person(
        "sophie-garnier",
        "secretary",
        "Sophie",
        "GARNIER",
        email="sophie.garnier@exemple.fr",
        about=f"secrétaire : {place.place}",
        about_en="secretary of this practice",
        organizations=(place.organization,),
    )
    return {person.key: person for person in (*CITIZENS, doctor, second, secretary, *HELPERS)}


def _professional(everyone: Population, id_: str, about: str, about_en: str) -> Person:
    posts = [post for post in everyone.posts if post.professional.id == id_]
    professional = posts[0].professional
    key = slug(f"{professional.given} {professional.family}")
    return Person(
        key,
        "practitioner",
        professional.given,
        professional.family.upper(),
        sex=professional.gender,
        email=f"{key.replace('-', '.')}@exemple.fr",
        about=f"{about} : {posts[0].practice.name}",
        about_en=about_en,
        practitioner=professional.id,
        rpps=professional.rpps,
        exercises=tuple(_exercise(post) for post in posts),
    )


def _exercise(post: Post) -> Exercise:
    profession, practice = post.professional.profession, post.practice
    return Exercise(
        profession.profession[1],
        profession.specialty[0] if profession.specialty else "",
        practice.name,
        practice.id,
        practice.finess or "",
        practice.siret or "",
    )


def invented(given_names: str, family_name: str, birth_date: str) -> Person:
    """An invented patient; the same words give the same person."""
    key = slug(f"{given_names} {family_name} {birth_date}")
    return Person(
        f"invented-{key}",
        "patient",
        given_names,
        family_name.upper(),
        birth_date=birth_date,
        birth_place=RENNES,
        birth_country=FRANCE,
        email=f"{slug(f'{given_names} {family_name}').replace('-', '.')}@exemple.fr",
    )
