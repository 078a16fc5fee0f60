"""The checked-in API descriptions are what the code gives, and say what their standards demand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from creneau_shared.fhir.validation import validate
from creneau_shared.type_table import SERVICE_NAMES as SERVICES
from creneau_shared.type_table import TYPES
from deploy import contracts


@pytest.fixture(scope="module")
def texts() -> dict[Path, str]:
    return contracts.generated()


def read(folder: str, service: str) -> dict[str, Any]:
    return dict(json.loads((contracts.CONTRACTS / folder / f"{service}.json").read_text(encoding="utf-8")))


def test_the_files_are_what_the_code_gives(texts: dict[Path, str]) -> None:
    """When this fails: python -m deploy.contracts, and review the change."""
    assert "\n".join(contracts.differences(contracts.CONTRACTS, texts)) == ""


def test_generating_reads_nothing_from_the_environment(
    texts: dict[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PUBLIC_BASE_URL": "https://elsewhere.example/fhir",
        "ANONYMOUS_READ": "false",
        "OIDC_ISSUER": "https://identity.example",
        "FIND_WINDOW_DAYS_MAX": "1",
    }.items():
        monkeypatch.setenv(name, value)
    assert contracts.generated() == texts


def test_check_tells_a_changed_a_missing_and_a_stray_file(
    texts: dict[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contracts.write(tmp_path, texts)
    assert contracts.main(["--check"], tmp_path) == 0
    capsys.readouterr()
    changed = tmp_path / "capability" / "booking.json"
    changed.write_text(changed.read_text().replace('"4.0.1"', '"5.0.0"'))
    (tmp_path / "openapi" / "directory.json").unlink()
    (tmp_path / "openapi" / "abandoned.json").write_text("{}\n")
    assert contracts.main(["--check"], tmp_path) == 1
    said = capsys.readouterr().out
    assert '-  "fhirVersion": "5.0.0",\n+  "fhirVersion": "4.0.1",' in said
    assert "openapi/directory.json (the code)" in said
    assert "openapi/abandoned.json (checked in)" in said
    assert not (tmp_path / "openapi" / "directory.json").exists(), "--check must not write"


@pytest.mark.parametrize("service", SERVICES)
def test_a_capability_statement_is_valid_r4(service: str) -> None:
    assert validate(read("capability", service), "CapabilityStatement") == []


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_declares_only_types_that_are_routed_to_it(service: str) -> None:
    """But for its audit trail: every service keeps one of its own, which the gateway reads as one."""
    types = {resource["type"] for resource in read("capability", service)["rest"][0]["resource"]}
    assert types - {"AuditEvent"}
    assert {TYPES[name].service for name in types - {"AuditEvent"}} == {service}


@pytest.mark.parametrize("service", SERVICES)
def test_an_openapi_description_is_valid(service: str) -> None:
    description = read("openapi", service)
    assert description["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(description).validate()


@pytest.mark.parametrize("service", SERVICES)
def test_openapi_and_capability_statement_tell_of_the_same_types_and_operations(service: str) -> None:
    rest = read("capability", service)["rest"][0]
    paths = read("openapi", service)["paths"]
    for resource in rest["resource"]:
        name = resource["type"]
        assert any(name in path.split("/") for path in paths), name
        for operation in resource.get("operation", ()):
            assert any(path.endswith(f"${operation['name']}") and name in path.split("/") for path in paths)
