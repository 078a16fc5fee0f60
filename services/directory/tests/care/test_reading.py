"""What texts mean, without a database."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creneau_directory.domain.care.places import Gazetteer, Place, gazetteer
from creneau_directory.domain.care.reading.facts import KnownNames
from creneau_directory.domain.care.reading.reader import Reader, reader
from creneau_directory.domain.care.reading.towns import MISSPELT_MAX
from creneau_directory.domain.care.spelling import edit_distance, sound
from creneau_directory.domain.care.suggestions import suggestions
from creneau_shared.spelling import fold

NAMES = KnownNames({name: ((name,), 1.0) for name in ("payet", "laval", "goff", "legoff", "rose", "petit")})


@pytest.fixture(scope="module")
def read() -> Reader:
    return reader()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("dentiste lyon 3", "c:69383"),
        ("dentiste Lyon 3ème", "c:69383"),
        ("dentiste paris dans le 15e arrondissement", "c:75115"),
        ("paris XV dentiste", "c:75115"),
        ("kiné XVIIIe", "c:75118"),
        ("75018 kiné", "c:75118"),
        ("dentiste st-malo", "c:35288"),
        ("dentiste à Saint Malo", "c:35288"),
        ("dentiste le mans", "c:72181"),
        ("dentiste La Rochelle", "c:17300"),
        ("dentiste l'haÿ les roses", "c:94038"),
        ("dentiste aix", "c:13001"),
        ("dentiste Toulouze", "c:31555"),
        ("dentiste monpelier", "c:34172"),
        ("dentiste 29", "d:29"),
        ("dentiste Côtes d'Armor", "d:22"),
        ("dentiste en Bretagne", "r:53"),
        ("médecin saint-pierre réunion", "c:97416"),
        ("médecin saint-denis 974", "c:97411"),
        ("infirmiere rene", "c:35238"),
        ("cardiologue st nazere", "c:44184"),
        ("dentiste lyon3", "c:69383"),
        ("dentiste paris15e", "c:75115"),
        ("dentiste 69003lyon", "c:69383"),
        ("test covid19", None),
        ("kiné stbrieuc", "c:22278"),
        ("kiné lehavre", "c:76351"),
        ("kiné clermnot", "c:63113"),
        ("dentiste neuily", "c:92051"),
        ("dentiste bdx", "c:33063"),
        ("kiné lomme", "c:59350"),
        ("dentiste léhon", "c:22050"),
        ("dentiste", None),
    ],
)
def test_places(read: Reader, text: str, place: str | None) -> None:
    found = read.read(text).place
    assert (found.key if found else None) == place


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("gynéco femme", {"gender": ("female",)}),
        ("sage femme", {}),
        ("médecin qui parle arabe", {"language": ("ar",)}),
        ("kiné à domicile", {"mode": ("HH",)}),
        ("psy en visio", {"mode": ("VR",)}),
        (
            "dentiste secteur 1 accessible en fauteuil roulant",
            {"sector": ("1",), "accessibility": ("wheelchair",)},
        ),
        ("médecin qui prend de nouveaux patients", {"new-patient": ("true",)}),
        ("dentiste sans dépassement d'honoraires", {"sector": ("1",)}),
    ],
)
def test_wishes(read: Reader, text: str, filters: dict[str, tuple[str, ...]]) -> None:
    assert read.read(text).filters == filters


def test_what_is_not_wished(read: Reader) -> None:
    intent = read.read("dermato pas de téléconsultation")
    assert (intent.filters, intent.excluded) == ({}, {"mode": ("VR",)})


@pytest.mark.parametrize(
    ("text", "numbers", "cares"),
    [
        ("infarctus", ("15",), False),
        ("il ne respire plus", ("15",), False),
        ("envie d'en finir", ("3114",), False),
        ("urgence dentaire", (), True),
        ("après un avc", (), True),
        ("après avoir fait un infarctus", (), True),
        ("séquelles de méningite", (), True),
        ("infarctus il y a 3 ans", (), True),
        ("stroke rehabilitation", (), True),
        ("mort subite prévention", (), True),
        ("avc après le repas", ("15",), False),
        ("après le sport il fait un infarctus", ("15",), True),
        ("après un accident de voiture aujourd'hui", ("15",), False),
        ("vertige suivi de convulsions", ("15",), True),
        ("l'an dernier non mais là il ne respire plus", ("15",), False),
        ("mon petit a bu du produit vaisselle", ("15",), True),
        ("je ne veux plus être là", ("3114",), False),
        ("mon mari me frappe", ("3919",), True),
        ("violences conjugales rennes", ("3919",), True),
        ("enfant maltraité", ("119",), True),
        ("accouchement imminent", ("15",), False),
    ],
)
def test_emergencies_are_told_and_not_taken_for_a_need_unless_they_are_over(
    read: Reader, text: str, numbers: tuple[str, ...], cares: bool
) -> None:
    intent = read.read(text)
    assert (intent.emergencies, bool(intent.cares)) == (numbers, cares)


@pytest.mark.parametrize(
    ("text", "names", "place"),
    [
        ("dr Payet", ["payet"], None),
        ("Payet rennes", ["payet"], "c:35238"),
        ("le goff vannes", ["legoff"], "c:56260"),
        ("dr laval", ["laval"], None),
        ("dentiste laval", [], "c:53130"),
        ("docteur petit", ["petit"], None),
    ],
)
def test_names_of_people_and_of_places(read: Reader, text: str, names: list[str], place: str | None) -> None:
    intent = read.read(text, NAMES)
    assert [word.typed for word in intent.names] == names
    assert (intent.place.key if intent.place else None) == place


def test_a_named_profession_counts_before_what_it_is_for(read: Reader) -> None:
    assert read.read("kiné mal au dos").cares == (("kinesitherapie", 1.0),)
    assert read.read("médecin mal au dos").cares[0][0] == "medecine-generale"
    assert read.read("dermatologue acné").cares == (("dermatologie", 1.0),)


def test_a_word_that_was_written_as_several_is_one(read: Reader) -> None:
    """As dictation writes it."""
    assert read.read("os théo pathe").cares == (("osteopathie", 1.0),)
    assert read.read("ort au dontiste").cares == (("orthodontie", 1.0),)


def test_what_is_not_understood_is_said(read: Reader) -> None:
    assert read.read("dentiste qwfplu").ignored == ("qwfplu",)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=120))
def test_anything_can_be_read(read: Reader, text: str) -> None:
    intent = read.read(text)
    assert sum(share <= 1 for _, share in intent.cares) == len(intent.cares)


@settings(max_examples=50)
@given(st.text("abcde", max_size=7), st.text("abcde", max_size=7))
def test_edit_distance_is_the_same_both_ways(left: str, right: str) -> None:
    assert edit_distance(left, right, 3) == edit_distance(right, left, 3)
    assert (edit_distance(left, right, 3) == 0) == (left == right)


@settings(max_examples=300)
@given(st.text("abc", max_size=7), st.text("abc", max_size=7), st.integers(1, 3))
def test_edit_distance_is_the_fewest_edits(left: str, right: str, most: int) -> None:
    @cache
    def fewest(i: int, j: int) -> int:
        if min(i, j) == 0:
            return max(i, j)
        a, b = left[i - 1], right[j - 1]
        found = min(fewest(i - 1, j) + 1, fewest(i, j - 1) + 1, fewest(i - 1, j - 1) + (a != b))
        swapped = i > 1 and j > 1 and (a, left[i - 2]) == (right[j - 2], b)
        return min(found, fewest(i - 2, j - 2) + 1) if swapped else found

    assert edit_distance(left, right, most) == min(fewest(len(left), len(right)), most + 1)


def test_only_some_pieces_of_a_text_are_looked_up_as_misspelt(
    read: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is compared with the names of all towns; anybody may type three hundred characters."""
    looked_up: list[str] = []
    misspelt = Gazetteer.misspelt

    def noted(places: Gazetteer, words: Sequence[str]) -> tuple[Place, float] | None:
        looked_up.append(" ".join(words))
        return misspelt(places, words)

    monkeypatch.setattr(Gazetteer, "misspelt", noted)
    read.read(" ".join(f"saint-{a}{b}{c}u" for a in "lmn" for b in "aeio" for c in "rst")[:300])
    assert len(looked_up) == MISSPELT_MAX


def test_sounds() -> None:
    assert sound("ofthalmo") == sound("ophtalmo")
    assert sound("Lefebvre") == sound("Lefèvre")
    assert fold("L’Haÿ-les-Roses") == "l hay les roses"


@pytest.mark.parametrize(
    ("text", "cares", "names", "place"),
    [
        ("un bon dentiste lyon", "chirurgie-dentaire", [], "Lyon"),
        ("jean petit dermato", "dermatologie", ["jean", "petit"], None),
        ("dr petit kiné", "kinesitherapie", ["petit"], None),
        ("petit rennes", None, ["petit"], "Rennes"),
        ("rdv medecin demain matin rennes", "medecine-generale", [], "Rennes"),
    ],
)
def test_a_surname_that_is_an_everyday_word_needs_more_to_be_a_name(
    text: str, cares: str | None, names: list[str], place: str | None
) -> None:
    """Somebody is called Petit, Bon and Matin; most who type these words do not look for them."""
    known = KnownNames({name: ((name,), 1.0) for name in ("petit", "bon", "matin", "jean")})
    intent = reader().read(text, known)
    assert [key for key, _ in intent.cares][:1] == ([cares] if cares else [])
    assert [word.typed for word in intent.names] == names
    assert (intent.place.name if intent.place else None) == place


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("sagefemme rennes", "sage-femme"),
        ("dermato logue lyon", "dermatologie"),
        ("slt g mal o dos", "medecine-generale"),
        ("psychologue pour ma fille", "psychologie"),
    ],
)
def test_words_written_together_apart_or_in_short(text: str, key: str) -> None:
    intent = reader().read(text)
    assert next(iter(intent.cares))[0] == key
    assert intent.ignored == ()
    assert intent.place is None or intent.place.kind == "commune"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("dermato lyon troisieme", "c:69383"),
        ("ophtalmo paris quinzième", "c:75115"),
        ("psychiatre haut de seine", "d:92"),
        ("dentiste finistair", "d:29"),
        ("je me sens mal lille", "c:59350"),
    ],
)
def test_places_in_words_and_misspelt_areas(text: str, key: str) -> None:
    place = reader().read(text).place
    assert place is not None
    assert place.key == key


def test_when_is_understood_and_told_apart() -> None:
    """The directory has no free times: it says that it understood, and does not search for them."""
    intent = reader().read("médecin de nuit rennes")
    assert intent.times == ("night",)
    assert not intent.ignored
    assert "times" not in intent.filters


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("dentiste mardi matin", ("tuesday", "morning")),
        ("kiné demain matin", ("tomorrow", "morning")),
        ("ce soir", ("today", "evening")),
        ("dentist on Friday afternoon", ("friday", "afternoon")),
        ("après-demain", ("after-tomorrow",)),
        ("week-end", ("weekend",)),
    ],
)
def test_the_day_and_the_time_of_day_are_told_apart(text: str, times: tuple[str, ...]) -> None:
    assert reader().read(text).times == times


def test_of_two_towns_one_may_be_a_name() -> None:
    """`Laval Rennes`: there is a town of that name, and somebody who is called so."""
    intent = reader().read("laval rennes", KnownNames({"laval": (("laval",), 1.0)}))
    assert [word.typed for word in intent.names] == ["laval"]
    assert intent.place is not None
    assert intent.place.key == "c:35238"


def test_a_misspelt_word_beside_a_profession_is_a_town() -> None:
    """`reines` sounds like kidneys (`reins`) as well as like Reims; whom to find is said already."""
    intent = reader().read("dermathologue reines")
    assert [key for key, _ in intent.cares] == ["dermatologie"]
    assert intent.place is not None
    assert intent.place.kind == "commune"


def test_after_a_given_name_comes_a_name() -> None:
    """Rivière is the beginning of a town's name, too."""
    known = KnownNames({name: ((name,), 1.0) for name in ("celine", "riviere")})
    intent = reader().read("docteur céline rivière", known)
    assert [word.typed for word in intent.names] == ["celine", "riviere"]


@pytest.mark.parametrize(
    ("text", "ignored"),
    [
        ("médecin tiers payant carhaix", ("tiers payant",)),
        ("dentiste qui accepte la CMU lyon 7", ("cmu",)),
        ("psychiatre c2s, carte vitale", ("c2s", "carte vitale")),
        ("psychologue pour ma fille de 12 ans", ("12 ans",)),
        ("je cherche un bon dentiste gentil à Nantes svp", ("bon", "gentil")),
        ("dermato parking licorne", ("parking", "licorne")),
        ("pas de fièvre", ("pas",)),
        ("opération du genou il y a deux ans", ("il y a deux ans",)),
        ("séquelles d'avc il y a deux ans", ()),
        ("kiné pas secteur 2", ()),
        ("je voudrais prendre rendez-vous avec un dermato", ()),
    ],
)
def test_what_changes_nothing_of_the_answer_is_told(text: str, ignored: tuple[str, ...]) -> None:
    """Words that the directory has nothing to compare with were dropped without a word: whoever asked for `tiers payant`
    believed that they had been heard."""
    assert reader().read(text).ignored == ignored


def test_words_aside_are_no_unknown_ones() -> None:
    """They say nothing of whether what is looked for was understood, and are looked up as nobody's name."""
    intent = reader().read("tiers payant rennes")
    assert (intent.ignored, intent.unknown, intent.lost) == (("tiers payant",), (), False)


@pytest.mark.parametrize(
    ("text", "town"),
    [
        ("gynéco ajaxio", "Ajaccio"),
        ("orthoptiste le man", "Le Mans"),
        ("kiné le manss", "Le Mans"),
        ("kine st brieux", "Saint-Brieuc"),
        ("dentiste st etiebne", "Saint-Étienne"),
        ("dentiste strasbpurg", "Strasbourg"),
        ("ophtalmo montoellier", "Montpellier"),
        ("dermato asnierres sur seine", "Asnières-sur-Seine"),
        ("pédiatre champignu sur marne", "Champigny-sur-Marne"),
        ("opticien à l'ail les roses", "L'Haÿ-les-Roses"),
        ("dentiste kyon", "Lyon"),
        ("dentiste arle", "Arles"),
        ("payé rennes", "Rennes"),
        ("mal à la tête le havre", "Le Havre"),
    ],
)
def test_towns_however_they_are_spelt(text: str, town: str) -> None:
    """A letter wrong at any place, doubled letters, names of four letters, of several words, with an article, with Saint."""
    place = reader().read(text).place
    assert place is not None
    assert place.name == town


def test_no_dictated_word_is_made_of_words_that_say_nothing() -> None:
    """`qui n'est` was heard as `kiné`."""
    assert [key for key, _ in reader().read("dentiste qui n'est pas loin").cares] == ["chirurgie-dentaire"]


@pytest.mark.parametrize(
    "text",
    ["echographie 2eme trimestre", "cheville foulée", "deuxième avis cardiologue", "brulure 2eme degre"],
)
def test_what_numbers_and_hurts_are_no_places(text: str) -> None:
    assert reader().read(text).place is None


def test_every_request_is_read_by_one_reader() -> None:
    """What misspelt words stand for is worked out once a process: in a reader of its own each request did it again."""
    assert reader() is reader()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("dentiste 3e arrondissement de Lyon", "c:69383"),
        ("dentiste 6e arr marseille", "c:13206"),
        ("dentiste troisième arrondissement lyon", "c:69383"),
        ("dentiste dans le 3e à lyon", "c:69383"),
        ("lyon dentiste 3e arrondissement", "c:69383"),
        ("paris dentiste 18e", "c:75118"),
        ("dentiste 18e île de france", "c:75118"),
        ("dentiste 18e rdv", "c:75118"),
        ("vaccin hpv 2e dose nantes", "c:44109"),
        ("vaccin hpv 2e dose paris", "c:75056"),
        ("rdv 2eme enfant gyneco lyon", "c:69123"),
        ("1er rendez-vous dermato lyon", "c:69123"),
        ("orthophoniste enfant en 6eme lille", "c:59350"),
        ("vaccination 4e rappel toulouse", "c:31555"),
        ("dentiste 3 lyon", "c:69123"),
        ("dentiste 3e rhône", "d:69"),
        ("vaccin hpv 2e dose", None),
        ("1er rendez-vous dermato", None),
        ("orthophoniste enfant en 6eme", None),
    ],
)
def test_an_ordinal_is_of_the_city_that_is_named_and_of_paris_only_without_one(
    read: Reader, text: str, key: str | None
) -> None:
    """Whoever asked for a second dose in Nantes was sent to the second arrondissement of Paris."""
    place = read.read(text).place
    assert (place.key if place else None) == key


def test_an_ordinal_that_is_no_place_is_told(read: Reader) -> None:
    intent = read.read("lyon dentiste 3e")
    assert [one.meaning for one in intent.understood if one.kind in ("commune", "arrondissement")] == ["Lyon"]
    assert (intent.ignored, intent.unknown) == (("3e",), ())


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("dentiste 97 400", "c:97411"),
        ("dentiste 35 000", "c:35238"),
        ("dentiste 35.000 rennes", "c:35238"),
        ("dentiste 69 003", "c:69383"),
        ("dentiste 75\u00a0015", "c:75115"),
        ("dentiste 35 12 ans", "d:35"),
        ("enfant de 29 200 kg", None),
    ],
)
def test_a_postal_code_is_read_in_every_spelling(read: Reader, text: str, key: str | None) -> None:
    intent = read.read(text)
    assert (intent.place.key if intent.place else None) == key
    assert intent.unknown == ()


@pytest.mark.parametrize(
    ("text", "town"),
    [("35 000", "Rennes"), ("97 4", "Saint-Denis"), ("dentiste 69 003", "Lyon")],
)
def test_a_postal_code_is_completed_in_every_spelling(text: str, town: str) -> None:
    first = next(one for one in suggestions(text, 3) if one.group == "place")
    assert first.label.partition(" (")[0] == town


def test_an_address_is_in_its_commune_however_its_postal_code_is_spelt() -> None:
    assert gazetteer().insee_of(None, "F-35 000", None) == "35238"


@pytest.mark.parametrize(
    ("code", "postal", "city", "insee"),
    [
        (None, "51003", "REIMS CEDEX", "51454"),
        (None, "35033", "Rennes Cedex 9", "35238"),
        (None, "97405", "ST DENIS CEDEX", "97411"),
        (None, "93205", "ST DENIS CEDEX", "93066"),
        (None, "69437", "LYON CEDEX 03", "69383"),
        ("75056", "75737", "PARIS CEDEX 15", "75115"),
        (None, "91025", "EVRY CEDEX", "91228"),
        (None, "20303", "AJACCIO CEDEX 9", "2A004"),
        (None, "51003", "CEDEX", None),
        (None, "29001", "REIMS CEDEX", None),
    ],
)
def test_a_large_receiver_of_mail_is_in_its_town(
    code: str | None, postal: str, city: str, insee: str | None
) -> None:
    """A CEDEX code belongs to no commune: hospitals were in no town."""
    assert gazetteer().insee_of(code, postal, city) == insee


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("dentiste île de Ré", "c:17369"),
        ("dentiste belle-île-en-mer", "c:56152"),
        ("dentiste ile d'oléron", "c:17385"),
        ("dentiste ile de groix", "c:56069"),
        ("dentiste ile d'yeu", "c:85113"),
        ("dentiste île de la réunion", "d:974"),
        ("dentiste saint barth", "d:977"),
        ("dentiste marie galante", "c:97112"),
        ("dentiste cap ferret", "c:33236"),
        ("dentiste sainte clotilde", "c:97411"),
        ("dentiste wallis", "d:986"),
        ("dentiste tahiti", "d:987"),
        ("dentiste île saint denis", "c:93039"),
        ("dentiste île de france", "r:11"),
        ("dentiste île de rhé", None),
    ],
)
def test_islands_and_quarters_are_not_taken_for_what_sounds_alike(
    read: Reader, text: str, key: str | None
) -> None:
    """Whoever looked for a dentist on the Île de Ré was sent to Billère, in the Pyrenees."""
    place = read.read(text).place
    assert (place.key if place else None) == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("dentiste saint-gilles 974", "c:97415"),
        ("dentiste saint gilles 85", "c:85222"),
        ("dentiste saint laurent guyane", "c:97311"),
        ("dentiste saint-ouen 93", "c:93070"),
        ("dentiste kemper 974", "d:974"),
        ("dentiste nantes bretagne", "c:44109"),
        ("gynéco femme 35 lyon", "c:69123"),
        ("dentiste le havre calvados", "c:76351"),
        ("dentiste le mans orne", "c:72181"),
        ("dentiste le manss orne", "d:61"),
        ("dentiste la ciotat var", "c:13028"),
        ("dentiste la rochelle vendée", "c:17300"),
        ("dentiste l'haÿ les roses essonne", "c:94038"),
        ("dentiste les sables d'olonne loire", "c:85194"),
        ("dentiste royan charente", "c:17306"),
        ("dentiste megève savoie", "c:74173"),
        ("dentiste cluses savoie", "c:74081"),
        ("dentiste chamonix savoie", "c:74056"),
        ("dentiste évian savoie", "c:74119"),
        ("dentiste pornic loire", "c:44131"),
        ("dentiste 44210 loire", "c:44131"),
        ("dentiste guérande loire", "c:44069"),
        ("dentiste ancenis loire", "c:44003"),
        ("dentiste redon loire atlantique", "c:35236"),
        ("dentiste pertuis bouches du rhône", "c:84089"),
        ("dentiste lourdes pyrénées atlantiques", "c:65286"),
        ("dentiste la montagne réunion", "d:974"),
        ("dentiste montgaillard réunion", "d:974"),
        ("dentiste saint etienne 69", "c:42218"),
        ("dentiste st etienne rhône", "c:42218"),
        ("dentiste saint etienne 88", "c:88415"),
        ("dentiste lehavre calvados", "c:76351"),
        ("dentiste lemans orne", "c:72181"),
        ("dentiste stnazaire morbihan", "c:44184"),
        ("dentiste lehavrre calvados", "d:14"),
        ("dentiste saint cyprien 31", "c:31555"),
        ("dentiste saint cyprien 66", "c:66171"),
        ("dentiste saint cyprien loire", "c:42211"),
    ],
)
def test_a_commune_is_in_the_area_that_is_named_too(read: Reader, text: str, key: str) -> None:
    """One elsewhere counts if it is spelt as such, and no hamlet that is called as a quarter or somebody there; across the sea
    only a town. Who errs in the département of a town was sent all over that département."""
    place = read.read(text).place
    assert place is not None
    assert place.key == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("dentiste vienne isère", "c:38544"),
        ("dentiste vienne 38", "c:38544"),
        ("38 vienne dentiste", "c:38544"),
        ("dentiste vienne rhône-alpes", "c:38544"),
        ("dentiste en isère à vienne", "c:38544"),
        ("dentiste mayenne 53", "c:53147"),
        ("53 mayenne", "c:53147"),
        ("dentiste indre 44", "c:44074"),
        ("dentiste en mayenne 53", "d:53"),
        ("dentiste mayenne", "d:53"),
        ("dentiste 53 pays de la loire", "d:53"),
        ("dentiste corrèze 19", "d:19"),
        ("dentiste dans le doubs 25", "d:25"),
        ("dentiste vienne", "d:86"),
        ("dentiste vienne 86", "d:86"),
        ("dentiste isère 38", "d:38"),
        ("dentiste haute-vienne limousin", "d:87"),
    ],
)
def test_a_town_that_is_called_as_a_departement_is_meant_beside_its_own_area(
    read: Reader, text: str, key: str
) -> None:
    """Whoever looked for a dentist in Vienne, Isère, was sent to Poitiers. A number names no town."""
    place = read.read(text).place
    assert place is not None
    assert place.key == key


@pytest.mark.parametrize("typed", ["xyzzy", "qwerty", "asdf", "zzzz", "azerty"])
def test_nonsense_is_understood_as_nothing(read: Reader, typed: str) -> None:
    intent = read.read(typed)
    assert (intent.place, intent.cares, intent.understood) == (None, (), ())
