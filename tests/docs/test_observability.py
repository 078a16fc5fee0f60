"""What is scraped, drawn and alerted on exists: processes, metrics, labels, and the heading that says what to do."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from deploy.local.folder import REPOSITORY
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase
from tests.docs.markdown import anchors

FOLDER = REPOSITORY / "deploy" / "observability"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana" / "creneau.json").read_text(encoding="utf-8"))
ALERTS: dict[str, Any] = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))
RULES: list[dict[str, Any]] = ALERTS["groups"][0]["rules"]
SCRAPING: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))

TARGET_LABELS = {"job", "instance", "service", "role"}
SERIES_OF = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
PROCESS_SERIES = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}
"""What Prometheus and the client library give for every process."""


def import_all_that_measure() -> None:
    """Import every module of the product that declares metrics."""
    for source in (*REPOSITORY.glob("shared/src"), *REPOSITORY.glob("services/*/src")):
        for file in source.rglob("*.py"):
            if "prometheus_client" in file.read_text(encoding="utf-8"):
                importlib.import_module(".".join(file.relative_to(source).with_suffix("").parts))


@cache
def series() -> dict[str, set[str]]:
    """Every series that the code keeps, with its labels."""
    import_all_that_measure()
    metrics = {m for m in set(REGISTRY._collector_to_names) if isinstance(m, MetricWrapperBase)}
    return {
        f"{metric._name}{suffix}": {*metric._labelnames, *({"le"} if suffix == "_bucket" else ())}
        for metric in metrics
        for suffix in SERIES_OF[str(metric._type)]
    }


def expressions() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


EXPRESSIONS = list(expressions())


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS, ids=[name for name, _ in EXPRESSIONS])
def test_every_metric_and_label_in_an_expression_exists(where: str, expression: str) -> None:
    """A renamed metric would leave a panel empty and an alert silent."""
    known = series()
    named = re.findall(r"\b(creneau_[a-z_]+|process_[a-z_]+|up)\b(\{[^}]*\})?", expression)
    assert named, where
    labels: set[str] = set()
    for metric, selector in named:
        assert metric in known or metric in PROCESS_SERIES, metric
        labels |= known.get(metric, set())
        for label in re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", selector):
            assert label in known.get(metric, set()) | TARGET_LABELS, f"{metric} has no label {label}"
    for group in re.findall(r"\bby \(([^)]*)\)", expression):
        assert {label.strip() for label in group.split(",")} <= labels | TARGET_LABELS


def test_every_metric_of_the_code_is_drawn_or_alerted_on() -> None:
    """What nobody looks at need not be measured."""
    text = " ".join(expression for _, expression in EXPRESSIONS)
    ours = {
        name for name in series() if name.startswith("creneau_") and not name.endswith(("_count", "_sum"))
    }
    assert {name for name in ours if name not in text} == set()


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_every_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    file, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert anchor in anchors((REPOSITORY / file).read_text(encoding="utf-8"))
    assert rule["labels"]["severity"] in ("critical", "warning")


def test_every_process_of_the_deployment_is_scraped() -> None:
    compose = yaml.safe_load((REPOSITORY / "deploy/compose/compose.yaml").read_text(encoding="utf-8"))
    ours = {
        name
        for name, container in compose["services"].items()
        if container.get("build", {}).get("target") == "service" and container["restart"] != "no"
    }
    assert set(SCRAPING["scrape_configs"][0]["dns_sd_configs"][0]["names"]) == ours


def role_of(host: str) -> str | None:
    """The label `role` that Prometheus gives to a process of that name."""
    relabelling = SCRAPING["scrape_configs"][0]["relabel_configs"]
    (regex,) = (one["regex"] for one in relabelling if one["target_label"] == "role")
    found = re.fullmatch(regex, host)
    return found.group(1) if found else None


def test_every_process_that_is_scraped_has_a_role() -> None:
    """An alert that names a role would pass over a process without one."""
    names = SCRAPING["scrape_configs"][0]["dns_sd_configs"][0]["names"]
    assert [name for name in names if role_of(name) is None] == []


def test_a_deaf_process_is_alerted_on_wherever_it_does_its_work() -> None:
    """A worker, and a sender: in compose it alone sends."""
    (rule,) = (rule for rule in RULES if rule["alert"] == "CreneauDeafWorker")
    (roles,) = re.findall(r'role=~?"([^"]*)"', rule["expr"])
    for host in ("booking-worker", "notifications-worker", "notifications-sender"):
        assert re.fullmatch(roles, role_of(host) or ""), host


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_on_too_little_looks_at_whoever_measures(rule: dict[str, Any]) -> None:
    """A gauge without labels is 0 in every process that knows of it, and in the one that measures until it has begun."""
    for metric, selector in re.findall(r"\b(creneau_[a-z_]+)\b([^<]*\)) < ", rule["expr"]):
        if metric in series() and not series()[metric] and not metric.endswith("_total"):
            assert "role=" in selector, metric


def test_panels_do_not_cover_each_other() -> None:
    taken: dict[tuple[int, int], int] = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["id"]) == panel["id"]
                assert x < 24
