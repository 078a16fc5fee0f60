"""A new type is a row of the table: routes, access, compartments, the trail and the guide follow by themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from deploy.local.folder import REPOSITORY

from creneau_shared.fhir.definitions import type_definition
from creneau_shared.fhir.search.registry import REGISTRY
from creneau_shared.type_table import COMPARTMENT, COMPARTMENT_PARAMETERS, TYPES


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    argv = [sys.executable, "-m", "tests.deploy.invented_types"]
    done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_requests_are_routed_by_nginx_and_the_gateway_alike(told: dict[str, Any]) -> None:
    assert told["nginx"] == {
        "Library": "directory",
        "Library/1/_history": "directory",
        "Basic/_search": "notifications",
        "Patient/1/Basic": "notifications",
        "Patient/1/Library": "booking",
        "Basic/1/Appointment": "booking",
    }
    assert told["gateway"] == told["nginx"]


def test_who_may_do_what_follows(told: dict[str, Any]) -> None:
    assert told["access"] == [["patient=Patient/p"], "public", None, "register"]
    assert told["recorded"] == [True, False]
    assert told["regulation"] == ["Library"]
    assert told["tokens"] == ["patient/Library.rs", "patient/Basic.crs"]


def test_it_is_in_the_compartments_and_the_guide(told: dict[str, Any]) -> None:
    assert told["compartments"] == [["patient"], {"Basic": ["subject"]}]
    basic, library = told["guide"]
    assert basic.startswith("| Basic |")
    assert "crs own" in basic
    assert "rs public" in library
    assert told["tables"]


def test_what_a_row_says_is_there() -> None:
    """Every type has a definition and search parameters, and those that its row names exist."""
    assert set(REGISTRY) == set(TYPES)
    for name in TYPES:
        assert type_definition(name)
        named = {p for by in COMPARTMENT_PARAMETERS.values() for p in by.get(name, ())}
        assert (named | set(COMPARTMENT.get(name, ()))) <= set(REGISTRY[name]), name


def test_no_other_place_lists_the_types_of_the_whole() -> None:
    """Of nginx's configuration and the gateway, where the same table stood by hand."""
    template = (REPOSITORY / "deploy/gateway/nginx.conf.template").read_text(encoding="utf-8")
    assert [name for name in TYPES if f"{name}|" in template or f"/{name}" in template] == []
