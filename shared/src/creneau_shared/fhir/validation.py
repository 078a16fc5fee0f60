"""A resource against the base definition of its type: FHIR R4 and nothing but FHIR R4.

One strict pass over the dict, by tables compiled once for each type: structure, cardinality, primitive
values, required codes, reference targets, contained resources, narrative and invariants. Nothing is
converted. Rules of profiles and of business are elsewhere; the limits of nesting and the elements that need a
value are here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from creneau_shared.errors import BadRequest, Issue, Unprocessable
from creneau_shared.fhir import findings, json, narrative
from creneau_shared.fhir.bindings import RESOURCE_TYPES
from creneau_shared.fhir.datatypes import PRIMITIVES, Primitive, parse_reference
from creneau_shared.fhir.definitions import (
    ElementDefinition,
    TypeDefinition,
    is_resource_type,
    type_definition,
)
from creneau_shared.fhir.invariants import Invariant, of_element, of_type

ISSUES_MAX: Final = 50
"""Most issues that one validation reports."""

NESTING_MAX: Final = 45
"""Deepest nesting of elements in one resource. It makes twice as many levels of JSON (an object in a list), which leaves
room for two Bundles around the resource in a body (`json.NESTING_MAX`)."""

UNPROCESSABLE_CODES: Final = frozenset({"invariant", "extension", "not-supported", "incomplete", "too-long"})
"""Issue codes of a well-formed resource that breaks a rule, has a modifier that is not understood, or holds too much."""

VALUED: Final = {
    "Appointment": frozenset({"status"}),
    "AppointmentParticipant": frozenset({"status"}),
    "AppointmentResponse": frozenset({"participantStatus"}),
    "BundleEntryRequest": frozenset({"method", "url"}),
    "Slot": frozenset({"status", "start", "end"}),
}
"""Type → required elements that need a value; an extension alone is refused, since the resource would be unusable."""

_CONTAINERS: Final = frozenset({"Bundle", "Parameters"})
"""Types that hold resources, are not stored, and may be as deep as a body."""

Path = tuple[Any, str, int | None]
"""(path of the parent or None, name in FHIRPath, index or None): rendered only when something is found."""

_DELIMITED = frozenset({"and", "as", "contains", "div", "implies", "in", "is", "mod", "or", "xor"})


def validate(resource: Any, expected_type: str | None = None) -> list[Issue]:
    """The issues of `resource`, at most ISSUES_MAX; an empty list when there are none.

    `expected_type`: the type required at this place (by the URL, for example); None: any.
    """
    run = _Run()
    try:
        run.whole(resource, expected_type)
    except _EnoughError:
        run.issues.append(findings.and_more(ISSUES_MAX))
    return run.issues


def check(resource: Any, expected_type: str | None = None) -> None:
    """Raise one error that carries all issues of `resource`; return when there are none.

    BadRequest (400) when one of them is against the definition of the type, Unprocessable (422) when the
    resource is well formed and only breaks invariants, or has modifiers that are not understood.
    """
    issues = validate(resource, expected_type)
    if not issues:
        return
    if all(issue.code in UNPROCESSABLE_CODES for issue in issues):
        raise Unprocessable(issues=issues)
    raise BadRequest(issues=issues)


class _EnoughError(Exception):
    """ISSUES_MAX issues have been found."""


class _Rule:
    """How the value of one element is checked: `accepts` for a primitive, else `visit`."""

    __slots__ = (
        "_table",
        "accepts",
        "allowed",
        "definition",
        "invariants",
        "is_list",
        "name",
        "primitive",
        "visit",
    )

    def __init__(self, owner: TypeDefinition, definition: ElementDefinition) -> None:
        name = definition.choice or definition.name
        self.name = f"`{name}`" if name in _DELIMITED else name
        self.definition = definition
        self.is_list = definition.is_list
        self.primitive: Primitive | None = None
        self.accepts: Callable[[Any], bool] | None = None
        self.visit: Callable[[_Run, Any, _Rule, Path], None] = _Run.complex
        self.allowed = frozenset(definition.targets) or RESOURCE_TYPES
        self.invariants = of_element(owner.name, definition.name)
        if owner.base == "DomainResource":
            self.invariants += of_element("DomainResource", definition.name)
        self._table: _Table | None = None
        self._dispatch()

    @property
    def table(self) -> _Table:
        """The table of a complex element's type, found at first use: types are recursive."""
        if self._table is None:
            self._table = _table(self.definition.type)
        return self._table

    def _dispatch(self) -> None:
        definition = self.definition
        if definition.name == "modifierExtension":
            self.visit = _Run.modifier_extension
        elif definition.name == "implicitRules":
            self.visit = _Run.implicit_rules
        elif definition.kind == "primitive":
            self.primitive = PRIMITIVES[definition.type]
            self.accepts = _in_codes(definition.codes) if definition.codes else self.primitive.accepts
        elif definition.kind == "xhtml":
            self.visit = _Run.narrative
        elif definition.kind == "resource":
            self.visit = _Run.contained if definition.name == "contained" else _Run.nested
        elif definition.type == "Reference":
            self.visit = _Run.reference


def _in_codes(codes: frozenset[str]) -> Callable[[Any], bool]:
    def accepts(value: Any) -> bool:
        return type(value) is str and value in codes

    return accepts


class _Table:
    """A type, compiled for the walk."""

    __slots__ = ("choices", "definition", "invariants", "required", "rules", "valued")

    def __init__(self, definition: TypeDefinition) -> None:
        self.definition = definition
        self.rules = {element.name: _Rule(definition, element) for element in definition.elements}
        self.required = tuple(
            element.name for element in definition.elements if element.min and not element.choice
        )
        self.valued = VALUED.get(definition.name, frozenset())
        self.choices = tuple(
            (group, frozenset(element.name for element in elements), group in definition.required_choices)
            for group, elements in definition.choices.items()
        )
        inherited = of_type("DomainResource") if definition.base == "DomainResource" else ()
        self.invariants: tuple[Invariant, ...] = of_type(definition.name) + inherited


@cache
def _table(type_name: str) -> _Table:
    return _Table(type_definition(type_name))


def _render(path: Path) -> str:
    parent, name, index = path
    own = name if index is None else f"{name}[{index}]"
    return own if parent is None else f"{_render(parent)}.{own}"


class _Run:
    """One validation: the issues so far, and the resource being checked."""

    def __init__(self) -> None:
        self.issues: list[Issue] = []
        self.container: dict[str, Any] = {}
        self.depth, self.depth_max = 0, NESTING_MAX
        self.in_transaction = False

    def add(self, issue: Issue) -> None:
        self.issues.append(issue)
        if len(self.issues) >= ISSUES_MAX:
            raise _EnoughError

    # Resources

    def whole(self, resource: Any, expected_type: str | None) -> None:
        """The resource that the caller gave."""
        if type(resource) is not dict:
            self.add(findings.wrong_shape(expected_type or "Resource", resource, dict))
            return
        name = resource.get("resourceType")
        if expected_type is not None and isinstance(name, str) and name != expected_type:
            self.add(findings.other_resource_type(findings.quote(name), expected_type))
            return
        self.container = resource
        root = name if isinstance(name, str) and name in RESOURCE_TYPES else expected_type or "Resource"
        if root in _CONTAINERS:
            self.depth_max = json.NESTING_MAX // 2
        self.resource(resource, (None, root, None))

    def resource(self, value: dict[str, Any], path: Path) -> None:
        name = value.get("resourceType")
        if name is None:
            self.add(findings.no_resource_type(_render(path)))
        elif not isinstance(name, str) or not is_resource_type(name):
            self.add(findings.unknown_resource_type(_render(path), name))
        else:
            self.elements(value, _table(name), path)

    def nested(self, value: Any, rule: _Rule, path: Path) -> None:
        """An independent resource inside another: Bundle.entry.resource, Parameters.parameter.resource."""
        if type(value) is not dict:
            self.wrong_shape(value, path)
            return
        outer, self.container = self.container, value
        outer_transaction = self.in_transaction
        self.in_transaction = outer.get("resourceType") == "Bundle" and outer.get("type") == "transaction"
        self.resource(value, path)
        self.container, self.in_transaction = outer, outer_transaction

    def contained(self, value: Any, rule: _Rule, path: Path) -> None:
        if type(value) is not dict:
            self.wrong_shape(value, path)
            return
        if "id" not in value:
            self.add(findings.missing(f"{_render(path)}.id"))
        self.resource(value, path)
        self.judge(rule.invariants, value, path)

    # Elements

    def complex(self, value: Any, rule: _Rule, path: Path) -> None:
        if type(value) is not dict:
            self.wrong_shape(value, path)
            return
        self.elements(value, rule.table, path)
        if rule.invariants:
            self.judge(rule.invariants, value, path)

    def elements(self, value: dict[str, Any], table: _Table, path: Path) -> None:
        """Checks the content of one object: each property by its rule, then missing elements, then the invariants."""
        if not value:
            self.add(findings.empty(_render(path), value))
            return
        if self.depth == self.depth_max:
            self.add(findings.too_deep(_render(path), self.depth_max))
            return
        self.depth += 1
        find = table.rules.get
        for name, child in value.items():
            rule = find(name)
            if rule is None:
                self.without_rule(name, value, table, path)
            elif rule.is_list:
                self.items(child, rule, value, path)
            elif rule.accepts is None:
                rule.visit(self, child, rule, (path, rule.name, None))
            elif not rule.accepts(child):
                self.wrong_primitive(child, rule, (path, rule.name, None))
        for name in table.required:
            if name in value:
                continue
            if f"_{name}" not in value:
                self.add(findings.missing(_render((path, table.rules[name].name, None))))
            elif name in table.valued:
                self.add(findings.no_value(_render((path, table.rules[name].name, None))))
        for group, names, required in table.choices:
            if required or len(value) > 1:
                self.choice(group, names, required, value, path)
        if len(value) == 1 and "id" in value:
            self.add(findings.nothing_but_id(_render(path)))
        for invariant in table.invariants:
            if not invariant.holds(value):
                self.add(invariant.issue(_render(path)))
        self.depth -= 1

    def without_rule(self, name: str, value: dict[str, Any], table: _Table, path: Path) -> None:
        """A property that names no element: resourceType, the extension of a primitive, or unknown."""
        if name == "resourceType" and table.definition.is_resource:
            return
        rule = table.rules.get(name[1:]) if name.startswith("_") else None
        if rule is not None and rule.definition.kind == "primitive":
            if rule.definition.name in table.definition.attributes:
                self.add(findings.attribute_extended(_render((path, rule.name, None))))
            else:
                self.primitive_extension(value[name], rule, value, path)
            return
        where = f"{_render(path)}.{findings.quote(name)}"
        self.add(findings.unknown_element(where, name, table.definition.name, table.rules))

    def items(self, value: Any, rule: _Rule, owner: dict[str, Any], path: Path) -> None:
        """The value of an element that repeats."""
        if type(value) is not list:
            if value is None:
                self.add(findings.null(_render((path, rule.name, None))))
            else:
                self.add(findings.wrong_shape(_render((path, rule.name, None)), value, list))
            return
        if not value:
            self.add(findings.empty(_render((path, rule.name, None)), value))
            return
        if rule.accepts is None:
            for index, item in enumerate(value):
                rule.visit(self, item, rule, (path, rule.name, index))
            return
        for index, item in enumerate(value):
            if not rule.accepts(item) and not (item is None and self.has_extension(rule, owner, index)):
                self.wrong_primitive(item, rule, (path, rule.name, index))

    def choice(
        self, group: str, names: frozenset[str], required: bool, value: dict[str, Any], path: Path
    ) -> None:
        present = {name.removeprefix("_") for name in value if name.removeprefix("_") in names}
        if len(present) > 1:
            self.add(findings.several_choices(_render((path, group, None)), sorted(present)))
        elif required and not present:
            self.add(findings.missing(_render((path, group, None))))

    def judge(self, invariants: tuple[Invariant, ...], value: Any, path: Path) -> None:
        for invariant in invariants:
            if not invariant.holds(value):
                self.add(invariant.issue(_render(path)))

    # Primitives

    def wrong_primitive(self, value: Any, rule: _Rule, path: Path) -> None:
        primitive = rule.primitive
        if primitive is None:
            return
        codes = rule.definition.codes
        if codes and primitive.accepts(value):
            self.add(findings.wrong_code(_render(path), value, codes))
        else:
            self.add(findings.wrong_value(_render(path), value, primitive))

    def primitive_extension(self, value: Any, rule: _Rule, owner: dict[str, Any], path: Path) -> None:
        """`_name`: id and extensions of a primitive, or a list of them beside the list of values."""
        name = rule.definition.name
        if not rule.is_list:
            self.extended(value, rule, name in owner, (path, rule.name, None))
            return
        if type(value) is not list:
            self.add(findings.wrong_shape(_render((path, rule.name, None)), value, list))
            return
        if not value:
            self.add(findings.empty(_render((path, rule.name, None)), value))
            return
        values = owner.get(name)
        if isinstance(values, list) and len(values) != len(value):
            self.add(findings.unmatched_arrays(_render((path, rule.name, None)), name))
        if isinstance(values, list) and all(item is None for item in value) and None not in values:
            self.add(findings.nothing_beside(_render((path, rule.name, None)), name))
        for index, item in enumerate(value):
            has_value = isinstance(values, list) and index < len(values) and values[index] is not None
            # A null beside a null value is reported with the value.
            if item is not None:
                self.extended(item, rule, has_value, (path, rule.name, index))
            elif not isinstance(values, list):
                self.add(findings.null(_render((path, rule.name, index))))

    def extended(self, value: Any, rule: _Rule, has_value: bool, path: Path) -> None:
        """The id and extensions of one primitive value."""
        if type(value) is not dict:
            self.wrong_shape(value, path)
        elif has_value and len(value) == 1 and "id" in value:
            if not PRIMITIVES["string"].accepts(value["id"]):
                self.add(findings.wrong_value(f"{_render(path)}.id", value["id"], PRIMITIVES["string"]))
        else:
            self.elements(value, _table("Element"), path)

    @staticmethod
    def has_extension(rule: _Rule, owner: dict[str, Any], index: int) -> bool:
        beside = owner.get(f"_{rule.definition.name}")
        return isinstance(beside, list) and index < len(beside) and beside[index] is not None

    def wrong_shape(self, value: Any, path: Path) -> None:
        """Reports a value that is not the expected object."""
        if value is None:
            self.add(findings.null(_render(path)))
        else:
            self.add(findings.wrong_shape(_render(path), value, dict))

    # Elements with rules of their own

    def reference(self, value: Any, rule: _Rule, path: Path) -> None:
        self.complex(value, rule, path)
        if type(value) is not dict:
            return
        literal, declared = value.get("reference"), value.get("type")
        if isinstance(literal, str) and literal:
            self.literal(literal, rule, (path, "reference", None))
        if isinstance(declared, str) and declared in RESOURCE_TYPES and declared not in rule.allowed:
            self.add(findings.wrong_target(_render((path, "type", None)), declared, rule.definition.targets))

    def literal(self, text: str, rule: _Rule, path: Path) -> None:
        """Checks a literal reference: its form, and the type of its target if that can be told."""
        type_name, _, logical_id = text.partition("/")
        if type_name in rule.allowed and PRIMITIVES["id"].accepts(logical_id):
            return
        parsed = parse_reference(text)
        if parsed is None or (parsed.base is None and parsed.type and parsed.type not in RESOURCE_TYPES):
            self.add(findings.malformed_reference(_render(path), text))
            return
        target = parsed.type
        if parsed.query is not None and not self.in_transaction:
            self.add(findings.conditional_reference(_render(path), text))
        if parsed.fragment is not None:
            found = self.local_target(parsed.fragment)
            if found is None:
                self.add(findings.dangling_fragment(_render(path), text))
                return
            target = found.get("resourceType")
        if isinstance(target, str) and target in RESOURCE_TYPES and target not in rule.allowed:
            self.add(findings.wrong_target(_render(path), target, rule.definition.targets))

    def local_target(self, fragment: str) -> dict[str, Any] | None:
        """The contained resource of that id; the container itself for an empty fragment."""
        if not fragment:
            return self.container
        contained = self.container.get("contained")
        for resource in contained if isinstance(contained, list) else ():
            if isinstance(resource, dict) and resource.get("id") == fragment:
                return resource
        return None

    def modifier_extension(self, value: Any, rule: _Rule, path: Path) -> None:
        url = value.get("url") if isinstance(value, dict) else None
        self.add(findings.modifier_extension(_render(path), url))

    def implicit_rules(self, value: Any, rule: _Rule, path: Path) -> None:
        self.add(findings.implicit_rules(_render(path)))

    def narrative(self, value: Any, rule: _Rule, path: Path) -> None:
        if not PRIMITIVES["markdown"].accepts(value):
            self.add(findings.wrong_value(_render(path), value, PRIMITIVES["markdown"]))
        elif problem := narrative.problem(value):
            self.add(findings.narrative(_render(path), problem.fr, problem.en, problem.rule))
