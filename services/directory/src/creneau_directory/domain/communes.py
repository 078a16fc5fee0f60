"""INSEE codes of communes: 2A and 2B in Corsica, 97x and 98x overseas, arrondissements; communes that merged keep old codes.

The rule: a text without the form of a code (`2C001`, four characters) is wrong. A code that the present COG lacks is
accepted with a remark, because it may be of a commune that has merged. So is a postal code that is not one of the
commune's, except a CEDEX code, which belongs to a receiver of mail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from creneau_directory.domain.ror.urls import EXTENSION, codes, value_of
from creneau_french.communes import communes

CommuneRemark = Literal["unknown", "postal-code"]
_CODE: Final = re.compile(r"(?:0[1-9]|[1-8][0-9]|9[0-5]|2[AB])[0-9]{3}|97[1-8][0-9]{2}|98[4-9][0-9]{2}")
_POSTAL: Final = re.compile(r"[0-9]{5}")
_ADDRESS_CODE: Final = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code"
_PLACE_CODE: Final = f"{EXTENSION}ror-commune-cog"


@dataclass(frozen=True, slots=True)
class StatedCommune:
    """A commune's code as a resource states it, where (element), and the postal code beside it."""

    element: str
    code: str
    postal_code: str | None


def is_commune_code(code: str) -> bool:
    """Whether the text has the form of a commune's code."""
    return _CODE.fullmatch(code) is not None


def remark_on(stated: StatedCommune) -> CommuneRemark | None:
    """Returns the remark on a code of the right form; None if nothing is odd about it."""
    commune = communes().get(stated.code)
    if commune is None:
        return "unknown"
    postal = stated.postal_code
    if postal is None or not _POSTAL.fullmatch(postal) or not commune.postal_codes:
        return None
    if postal in commune.postal_codes or _may_be_cedex(postal, commune.postal_codes):
        return None
    return "postal-code"


def _may_be_cedex(postal: str, known: tuple[str, ...]) -> bool:
    """Whether a postal code may be a CEDEX (mail of a large receiver): of the same département, and not ending in 0."""
    return postal[:2] == known[0][:2] and not postal.endswith("0")


def stated_communes(resource: Mapping[str, Any]) -> Iterator[StatedCommune]:
    """Yields the communes that a resource states: in its addresses, and of the place itself (ROR)."""
    addresses = resource.get("address", ())
    several = isinstance(addresses, list)
    for index, address in enumerate(addresses if several else [addresses]):
        if not isinstance(address, Mapping):
            continue  # the address of an Endpoint is a URL
        where = f"address[{index}]" if several else "address"
        for code in _codes(address, _ADDRESS_CODE):
            yield StatedCommune(where, code, address.get("postalCode"))
    for code in _codes(resource, _PLACE_CODE):
        postal = addresses.get("postalCode") if isinstance(addresses, Mapping) else None
        yield StatedCommune("extension", code, postal)


def _codes(element: Mapping[str, Any], url: str) -> Iterator[str]:
    for extension in element.get("extension", ()):
        if extension.get("url") == url:
            yield from codes(value_of(extension))
