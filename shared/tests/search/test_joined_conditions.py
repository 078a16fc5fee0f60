"""No condition, however many alternatives it has, lets through what another one of the same search shuts out."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.tests.search.conftest import HELD
from shared.tests.search.store import Store
from shared.tests.search.test_any_query import BY_NAME, MODIFIERS, VALUES

import creneau_shared
from creneau_shared.database.conditions import all_of, any_of
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.search.sql import SearchScope

NOBODY = "_id=nobody"
EVERYWHERE = "48.8566|2.3522|500|km"
JOINED_BY_HAND = re.compile(r"""["'] (?:AND|OR) ["']\.join""")


@pytest.mark.parametrize("resource_type", sorted(HELD))
async def test_with_what_nobody_fulfils_nothing_is_found(graph: Store, resource_type: str) -> None:
    """Every parameter with several values, every modifier, before and after `_id=nobody`."""
    for parameter in parameters_of(resource_type).values():
        values = ",".join(BY_NAME.get(parameter.name, VALUES[parameter.type]))
        asked = [f"{parameter.name}={values}", f"{parameter.name}:missing=true,false"]
        asked += [f"{parameter.name}:{modifier}={values}" for modifier in MODIFIERS.get(parameter.type, [])]
        for one in asked:
            for query in (f"{one}&{NOBODY}", f"{NOBODY}&{one}", f"_filter=_id eq nobody&{one}"):
                with contextlib.suppress(BadRequest):
                    assert await graph.ids(f"{resource_type}?{query}") == [], query


@pytest.mark.parametrize(
    "query",
    [
        f"Location?near={EVERYWHERE},45.76|4.83&{NOBODY}",
        f"Location?near={EVERYWHERE},{EVERYWHERE}&near=0|0|1|km",
        f"Location?near={EVERYWHERE},45.76|4.83&name=nowhere",
        f"PractitionerRole?location.near={EVERYWHERE},45.76|4.83&{NOBODY}",
        f"PractitionerRole?location.near={EVERYWHERE},45.76|4.83&specialty=none",
        f"Organization?_has:Location:organization:near={EVERYWHERE},45.76|4.83&{NOBODY}",
        f"Location?_filter=(near eq {EVERYWHERE} or near eq 45.76|4.83|1|km) and _id eq nobody",
        "Location?_filter=not (near eq 0|0|1|km or name sw zz) and _id eq nobody",
    ],
)
async def test_near_several_points_is_one_condition(graph: Store, query: str) -> None:
    """`near=a,b` beside another filter, at the end of a chain, behind `_has`, in a `_filter`."""
    assert await graph.ids(query) == []


async def test_near_several_points_stays_within_the_scope(graph: Store) -> None:
    """What the caller may see, and what else is asked, hold for every point."""
    query = f"Location?near={EVERYWHERE},45.76|4.83"
    assert await graph.ids(query)
    assert await graph.ids(query, scope=SearchScope({"Location": ("_id=nobody",)})) == []
    assert await graph.ids(f"{query}&_id=nobody") == []


_VALUES = {"true": True, "false": False}
_CONDITIONS: st.SearchStrategy[tuple[str, bool]] = st.recursive(
    st.sampled_from(sorted(_VALUES.items())),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(
            lambda found: (all_of(c for c, _ in found), all(v for _, v in found))
        ),
        st.lists(inner, max_size=3).map(
            lambda found: (any_of(c for c, _ in found), any(v for _, v in found))
        ),
        # Written by hand, without brackets: what joins it puts them.
        st.tuples(inner, inner).map(lambda two: (f"{two[0][0]} OR {two[1][0]}", two[0][1] or two[1][1])),
    ),
)


@given(_CONDITIONS, st.booleans())
def test_what_is_joined_means_what_its_parts_mean(condition: tuple[str, bool], beside: bool) -> None:
    """Python's `and` and `or` bind as SQL's do."""
    sql, value = condition
    joined = all_of([sql, str(beside).lower()])
    assert eval(joined.replace(" AND ", " and ").replace(" OR ", " or "), {}, _VALUES) == (value and beside)  # noqa: S307


def test_nothing_joins_conditions_by_hand() -> None:
    """The modules of search and storage have brackets from one place."""
    root = Path(creneau_shared.__file__).parent / "fhir"
    by_hand = [
        str(path.relative_to(root))
        for folder in ("search", "storage")
        for path in (root / folder).rglob("*.py")
        if JOINED_BY_HAND.search(path.read_text())
    ]
    assert by_hand == []
