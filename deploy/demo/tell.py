"""Tell the main job on the terminal: `make demo`, that is `python -m deploy.demo.tell`.

Search, hold, book, move, cancel, wait, a sudden absence, the event and the e-mail with its calendar file. Goes over HTTP
through the gateway (CRENEAU_URL, or CRENEAU_PORT here) and reads Kafka. Ends with exit code 1 and one sentence at the first
thing that does not behave.
"""

from __future__ import annotations

import os
import secrets
import sys
from datetime import UTC, datetime

import httpx

from deploy.demo.gateway import gateway_url, trusted
from deploy.demo.story import absence, booking, changing, following, practice, searching, waiting
from deploy.demo.story.bus import Bus
from deploy.demo.story.dialogue import Dialogue
from deploy.demo.story.errors import StoryError
from deploy.demo.story.mailbox import Mailbox
from deploy.demo.story.narrator import Narrator
from deploy.demo.story.scene import Scene
from deploy.local.folder import Folder, read_json
from deploy.local.tokens import Holder, Issuer

TIMEOUT_S = 30.0
PAGES = (
    ("Prendre rendez-vous (par exemple « dermato » à « renes »)", "/"),
    ("Les mêmes appels, d'une page", "/console"),
    ("Les messages envoyés", "/dev/mail"),
    ("L'état du service", "/ops"),
)
"""what a person may open next"""


def tell(scene: Scene) -> None:
    """The whole story; a StoryError where it cannot go on."""
    narrator = scene.narrator

    narrator.step("Trouver un professionnel")
    professionals = searching.find_professionals(scene)

    narrator.step("Voir quand il est libre")
    professional, openings = searching.find_slots(scene, professionals)
    searching.propose(scene, professional, scene.tokens(f"demo-camille-{scene.run}", None))

    narrator.step("S'inscrire et prendre rendez-vous")
    narrator.say("Camille Martin, qui n'existe pas, s'inscrit avec le jeton de son fournisseur d'identité :")
    camille = booking.register(scene, "Camille", "Martin", "female", "1984-05-17", "+33639980042")
    first = booking.hold(scene, openings[0], professional, camille)
    booking.confirm(scene, first)
    second = booking.book(scene, openings[1], professional, camille)
    narrator.say("Une autre personne arrive trop tard :")
    rival = booking.register(scene, "Solenn", "Touré", "female", "1991-11-02", "+33639980043")
    booking.lose(scene, second, rival)

    narrator.step("Ce qui en découle : l'événement, le courriel, le rappel")
    following.show_event(scene, first, "booked")
    confirmation = following.show_message(scene, first, "REQUEST", whole=True)
    following.confirm_address(scene, first, confirmation)
    following.show_communications(scene, camille)

    narrator.step("Ce que voit le cabinet, et lui seul")
    practice.look_at_the_agenda(scene, first)
    neighbour = next((p for p in professionals if p.organization != professional.organization), None)
    if neighbour is not None:
        practice.look_next_door(scene, first, neighbour)

    narrator.step("Déplacer le rendez-vous")
    moved = changing.move(scene, first, openings[-1])
    changing.require_previous(following.show_event(scene, moved, "moved"), first.opening)
    change = following.show_message(scene, moved, "REQUEST", after=confirmation)

    narrator.step("L'annuler")
    changing.cancel(scene, moved)
    following.show_event(scene, moved, "cancelled")
    following.show_message(scene, moved, "CANCEL", after=change)
    following.show_withdrawn(scene, moved)

    narrator.step("Attendre qu'une place se libère")
    waits = waiting.join(scene, second, rival)
    waiting.free(scene, second)
    waiting.accept(scene, waits)

    narrator.step("Une absence soudaine")
    absence.fall_ill(scene, waits)

    narrator.step("À vous d'essayer, dans un navigateur")
    for what, path in PAGES:
        narrator.fact(f"{what} : {scene.dialogue.url}{path}")

    narrator.say("Tout s'est passé comme annoncé.")


def bootstrap_servers() -> str:
    """KAFKA_BOOTSTRAP_SERVERS, else the broker of the local run."""
    named = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if named:
        return named
    broker = read_json(Folder().state).get("processes", {}).get("broker", {})
    if not broker.get("port"):
        raise StoryError(
            "Aucun broker Kafka connu : lancez d'abord « make run », ou donnez KAFKA_BOOTSTRAP_SERVERS."
        )
    return f"127.0.0.1:{broker['port']}"


def patient_token(subject: str, patient: str | None) -> str:
    """A token of the development issuer."""
    if os.environ.get("OIDC_ISSUER"):
        raise StoryError("OIDC_ISSUER est défini : la démonstration a besoin de l'émetteur de développement.")
    return Issuer.of(Folder()).token("patient", subject, patient)


def practice_token(organization: str) -> str:
    """A token of the development issuer for the secretary of a practice."""
    return Issuer.of(Folder()).token_of(
        Holder("secretary", "demo-secretariat", organizations=(organization,))
    )


def main() -> int:
    """Read the environment and tell. Gives the exit code."""
    url = gateway_url()
    narrator = Narrator(sys.stdout)
    narrator.title(f"Créneau, le parcours d'un rendez-vous – {url}/fhir")
    try:
        with httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False, verify=trusted()) as client:
            scene = Scene(
                narrator=narrator,
                dialogue=Dialogue(client, narrator),
                mailbox=Mailbox(client),
                bus=Bus(bootstrap_servers()),
                tokens=patient_token,
                practice_tokens=practice_token,
                now=datetime.now(UTC),
                run=secrets.token_hex(4),
            )
            tell(scene)
    except StoryError as error:
        narrator.failure(str(error))
        return 1
    except httpx.TransportError as error:
        narrator.failure(f"{url} ne répond pas ({type(error).__name__}) : « make run » tourne-t-il ?")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
