"""What people type: what is asked for, nothing, and what is odd but may be typed."""

from __future__ import annotations

import random
from datetime import date, timedelta

LETTERS = "bdfglmnprtv"

ODD = (
    "",
    " ",
    "L’Haÿ-lès-Roses d'Œuvre",
    "O'Brien",
    "Ñandú Ægir Þór",
    "😀🏥👩‍⚕️",
    "שלום עולם",
    "\u202eenvers",
    "𝒞réneau",
    "<b>gras</b>",
    '"><script>alert(1)</script>',
    "50 % de plus",
    "100%25",
    "a&b=c;d?e#f",
    "..",
    "../../etc",
    "0",
    "-1",
    "9" * 20,
    "١٢",
    "²",
    "+33 6 12 34 56 78",
    "06.12.34.56.78",
    "quelqu.un@exemple.fr",
    "deux@adresses@exemple.fr",
    "x" * 101,
    "é" * 201,
    "long " * 1000,
)
"""text in one line"""

LINES = ("ligne une\r\nligne deux\r\n\r\n", "\r\n", "é" * 501, "mot " * 2000)
"""text in several, where that is possible"""

SEARCHES = (
    "médecin",
    "dermato",
    "kiné",
    "dentiste",
    "",
    "sage-femme",
    "ophtalmo",
    "gynéco",
    "je tousse",
    "psy",
)
TOWNS = ("rennes", "renes", "35", "saint", "", "vannes", "brest", "atlantide", "35000")


def family() -> str:
    """A name of birth that occurs nowhere else."""
    return "Kerzon" + "".join(random.choices(LETTERS, k=8))


def dates(today: date) -> tuple[str, ...]:
    """Days that a field of a date may hold."""
    near = (today + timedelta(days=n) for n in (-1, 0, 1, 7, 30, 400))
    return ("", *(day.isoformat() for day in near), "0001-01-01", "9999-12-31")
