"""The event contracts: schemas, examples, what consumers expect, and the AsyncAPI document agree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError
from tests.contract.closing import EVENTS, closed_validator, event_names, load_schema, open_validator

from creneau_notifications.messaging import consumers, readers
from creneau_shared.messaging import cloudevents

ASYNCAPI = yaml.safe_load((EVENTS.parent / "asyncapi.yaml").read_text())
EXAMPLES = sorted(EVENTS.glob("*/examples/*.json"))
EXPECTATIONS = sorted(EVENTS.glob("expectations/*/*.json"))
TIME = datetime(2026, 11, 16, 10, 0, tzinfo=UTC)


def relative(path: Path) -> str:
    return str(path.relative_to(EVENTS))


def event_of(example: Path) -> str:
    """`…/examples/appointment.booked.v1.overseas-video.json` → `booking/appointment.booked.v1`."""
    name = example.name.partition(".v1")[0]
    return f"{example.parent.parent.name}/{name}.v1"


def examples_of(event: str) -> list[Any]:
    return [json.loads(path.read_text()) for path in EXAMPLES if event_of(path) == event]


@pytest.mark.parametrize("name", [*event_names(), "booking/appointment.v1"])
def test_every_schema_is_a_schema(name):
    Draft202012Validator.check_schema(load_schema(name))
    assert load_schema(name)["$id"].endswith(f"/events/{name}.schema.json")


@pytest.mark.parametrize("name", event_names())
def test_every_event_has_an_example(name):
    assert examples_of(name)


@pytest.mark.parametrize("example", EXAMPLES, ids=relative)
def test_every_example_holds_nothing_undeclared(example):
    closed_validator(event_of(example)).validate(json.loads(example.read_text()))


@pytest.mark.parametrize("example", EXAMPLES, ids=relative)
def test_a_consumer_accepts_what_a_later_producer_adds_and_a_producer_test_does_not(example):
    data = {**json.loads(example.read_text()), "added": 1}
    open_validator(event_of(example)).validate(data)
    with pytest.raises(ValidationError):
        closed_validator(event_of(example)).validate(data)


def test_closing_reaches_nested_objects():
    [data, *_] = examples_of("booking/appointment.booked.v1")
    data["actors"][0]["name"] = "Dr Agathe Lefèvre"
    open_validator("booking/appointment.booked.v1").validate(data)
    with pytest.raises(ValidationError):
        closed_validator("booking/appointment.booked.v1").validate(data)


@pytest.mark.parametrize("name", [name for name in event_names() if "/appointment." in name])
@pytest.mark.parametrize("member", ["appointment", "version", "status", "start", "actors", "sequence"])
def test_what_every_appointment_event_promises_cannot_be_left_out(name, member):
    for data in examples_of(name):
        with pytest.raises(ValidationError):
            open_validator(name).validate({k: v for k, v in data.items() if k != member})


@pytest.mark.parametrize(
    ("name", "member", "value"),
    [
        ("booking/appointment.booked.v1", "start", "2026-12-01T09:00:00+01:00"),
        ("booking/appointment.booked.v1", "patient", "Camille Martin"),
        ("booking/appointment.booked.v1", "status", "pending"),
        ("booking/appointment.booked.v1", "sequence", -1),
        ("booking/contact.changed.v1", "recipient", "Camille Martin"),
    ],
)
def test_malformed_members_are_refused(name, member, value):
    [data, *_] = examples_of(name)
    with pytest.raises(ValidationError):
        open_validator(name).validate({**data, member: value})


# -- what consumers expect -----------------------------------------------------------------------------------


def schema_at(schema: dict[str, Any], pointer: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each schema on the way to `pointer` with the member it leads to next."""
    for step in pointer:
        yield step, schema
        schema = resolve(schema["items"] if step == "*" else members(schema)[step])


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return dict(load_schema("booking/appointment.v1")["$defs"][schema["$ref"].rpartition("/")[2]])
    return schema


def parts(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The schema and what it extends."""
    return [schema, *([load_schema("booking/appointment.v1")] if "allOf" in schema else [])]


def members(schema: dict[str, Any]) -> dict[str, Any]:
    return {name: member for part in parts(schema) for name, member in part.get("properties", {}).items()}


def required(schema: dict[str, Any]) -> set[str]:
    return {name for part in parts(schema) for name in part.get("required", [])}


def is_open(schema: dict[str, Any]) -> bool:
    """Whether the schema leaves it to FHIR what the object may hold."""
    return schema.get("additionalProperties") is True


@pytest.mark.parametrize("file", EXPECTATIONS, ids=relative)
def test_what_a_consumer_requires_is_promised_and_what_it_may_use_is_declared(file):
    expectation = json.loads(file.read_text())
    schema = load_schema(expectation["schema"].removesuffix(".schema.json"))
    assert schema["title"] == expectation["type"]
    for pointer in expectation["required"]:
        for step, holder in schema_at(schema, pointer.split("/")[1:]):
            assert step == "*" or step in required(holder), f"{pointer} is not promised"
    for pointer in expectation["optional"]:
        for step, holder in schema_at(schema, pointer.split("/")[1:]):
            if is_open(holder):
                break
            assert step == "*" or step in members(holder), f"{pointer} is not declared"


@pytest.mark.parametrize("consumer", ["notifications"])
def test_every_event_type_that_a_consumer_handles_has_its_expectation(consumer):
    expected = {json.loads(f.read_text())["type"] for f in EXPECTATIONS if f.parent.name == consumer}
    handled = {*consumers.APPOINTMENT_TYPES, consumers.CONTACT_TYPE, consumers.RESOURCE_TYPE}
    handled |= {consumers.ERASED_TYPE, consumers.ACCOUNT_TYPE}
    assert handled == expected


def cut(data: Any, pointers: list[list[str]]) -> Any:
    """`data` with only the members that `pointers` lead to."""
    deeper = [pointer for pointer in pointers if pointer]
    if not deeper or data is None:
        return data
    if isinstance(data, list):
        return [cut(item, [pointer[1:] for pointer in deeper]) for item in data]
    return {
        name: cut(data[name], [pointer[1:] for pointer in deeper if pointer[0] == name])
        for name in {pointer[0] for pointer in deeper} & data.keys()
    }


def read(event_type: str, data: Any) -> object:
    """What notifications makes of an event."""
    if event_type == consumers.CONTACT_TYPE:
        return readers.read_contact(data)
    if event_type == consumers.ACCOUNT_TYPE:
        return readers.read_account(data)
    if event_type == consumers.ERASED_TYPE:
        return readers.read_erasure(data)
    if event_type == consumers.RESOURCE_TYPE:
        return readers.read_fact(data, TIME)
    return readers.read_appointment("1", event_type, TIME, data)


@pytest.mark.parametrize("file", [f for f in EXPECTATIONS if f.parent.name == "notifications"], ids=relative)
def test_notifications_reads_what_it_says_and_nothing_else(file):
    """Cut down to the declared members an event reads the same; without the optional ones it still reads."""
    expectation = json.loads(file.read_text())
    needed = [pointer.split("/")[1:] for pointer in expectation["required"]]
    useful = [pointer.split("/")[1:] for pointer in expectation["optional"]]
    for data in examples_of(expectation["schema"].removesuffix(".schema.json")):
        assert read(expectation["type"], cut(data, [*needed, *useful])) == read(expectation["type"], data)
        assert read(expectation["type"], cut(data, needed)) is not None


# -- AsyncAPI ------------------------------------------------------------------------------------------------


def local(reference: str) -> Any:
    """What `#/a/b` points to in the AsyncAPI document."""
    target: Any = ASYNCAPI
    for step in reference.removeprefix("#/").split("/"):
        target = target[step]
    return target


def test_asyncapi_has_a_message_for_every_event_and_no_other():
    messages = ASYNCAPI["components"]["messages"].values()
    assert {m["name"] for m in messages} == {load_schema(name)["title"] for name in event_names()}
    for message in messages:
        file = (EVENTS.parent / message["payload"]["schema"]["$ref"]).resolve()
        assert json.loads(file.read_text())["title"] == message["name"]


def test_asyncapi_points_only_to_what_it_has():
    for operation in ASYNCAPI["operations"].values():
        assert operation["action"] in ("send", "receive")
        assert "address" in local(operation["channel"]["$ref"])
    carried = [local(m["$ref"]) for c in ASYNCAPI["channels"].values() for m in c["messages"].values()]
    declared = ASYNCAPI["components"]["messages"].values()
    assert sorted(m["name"] for m in carried) == sorted(m["name"] for m in declared)


def test_asyncapi_and_notifications_agree_on_topics_and_types():
    types_by_topic = {
        channel["address"]: {local(m["$ref"])["name"] for m in channel["messages"].values()}
        for channel in ASYNCAPI["channels"].values()
    }
    assert types_by_topic == {
        consumers.APPOINTMENTS: set(consumers.APPOINTMENT_TYPES),
        consumers.CONTACTS: {consumers.CONTACT_TYPE, consumers.ERASED_TYPE},
        consumers.ACCOUNTS: {consumers.ACCOUNT_TYPE},
        consumers.RESOURCES: {consumers.RESOURCE_TYPE},
    }


def test_asyncapi_declares_the_headers_that_travel():
    declared = ASYNCAPI["components"]["messageTraits"]["cloudEvent"]["headers"]
    sent = cloudevents.headers(
        event_id=UUID(int=1),
        source="/creneau/booking",
        event_type=consumers.CONTACT_TYPE,
        subject="Patient/1",
        time=TIME,
        key="Patient/1",
        correlation_id="c",
        traceparent="t",
        generation=1,
    )
    assert {name for name, _ in sent} == set(declared["properties"])
    assert set(declared["required"]) <= set(declared["properties"])
