"""France and its overseas territories, by whichever code or name an address has for its country."""

from __future__ import annotations

from creneau_shared.spelling import fold

TERRITORIES = {
    "971": ("GP", "GLP", "guadeloupe"),
    "972": ("MQ", "MTQ", "martinique"),
    "973": ("GF", "GUF", "guyane", "guiana"),
    "974": ("RE", "REU", "reunion"),
    "975": ("PM", "SPM", "miquelon"),
    "976": ("YT", "MYT", "mayotte"),
    "977": ("BL", "BLM", "barthelemy", "saint barth", "st barth"),
    "978": ("MF", "MAF", "saint martin", "st martin"),
    "984": ("TF", "ATF", "terres australes", "taaf"),
    "986": ("WF", "WLF", "wallis"),
    "987": ("PF", "PYF", "polynesi"),
    "988": ("NC", "NCL", "caledoni"),
    "989": ("CP", "CPT", "clipperton"),
}
"""Beginning of the codes of an overseas territory → its ISO 3166-1 codes (alpha-2, alpha-3), and words of its names."""
_FRANCE = frozenset({"f", "fr", "fra", "fx", "fxx", "99000", "99100"})
"""signs of France (`fx`: without what lies overseas, ISO 3166-3); with five digits of INSEE, as national files write them"""


def is_abroad(country: str) -> bool:
    """Whether the country of an address is neither France nor one of its overseas territories; False for an empty text."""
    text = fold(country)
    return bool(text) and text not in _FRANCE and "fran" not in text and territory_of(text) is None


def territory_of(text: str) -> str | None:
    """The beginning of the codes of the French overseas territory that a text names by a code or in words."""
    folded = fold(text)
    sign = folded.removeprefix("fr ")
    for beginning, (alpha_2, alpha_3, *names) in TERRITORIES.items():
        if sign in (beginning, alpha_2.lower(), alpha_3.lower()) or any(name in folded for name in names):
            return beginning
    return None
