"""What each column of a frame is made of, from its analyzed plan: no row is read and no agent is needed.

Spark gives every column of a plan a number (exprId). An alias has the numbers that its expression names, so following the
numbers down to the frames that went in ends at their columns. Only what goes into a value counts: a key of a join, a filter or
a group decides which rows there are, and is no column's origin, unless it is itself in the expression.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pyspark.sql import DataFrame

Node = dict[str, Any]
# Plans whose columns are those of their first child alone: what their second child says is a condition.
SEMI = ("LeftSemi", "LeftAnti")


class Plan:
    """One node of a plan, with its children."""

    def __init__(self, fields: Node, children: list[Plan]) -> None:
        self.fields, self.children = fields, children
        self.kind = str(fields["class"]).rpartition(".")[2]

    def nodes(self) -> Iterator[Plan]:
        """This node and all below it."""
        yield self
        for child in self.children:
            yield from child.nodes()


def origins(frame: DataFrame) -> dict[str, list[str]]:
    """For each column of a frame the columns of named frames (`.alias("silver.orders")`) that its value is made of, sorted.

    Raises ValueError for a column that comes from a frame without a name, which nobody could find again.
    """
    plan = _parsed(json.loads(frame._jdf.queryExecution().analyzed().toJSON()))
    names, made_of = _leaves(plan), _expressions(plan)
    return {column: sorted(_origins(number, names, made_of, column)) for column, number in _output(plan)}


def _parsed(fields: list[Node]) -> Plan:
    """A plan from its nodes in the order in which Spark lists them: each before its children."""
    waiting = iter(fields)

    def build() -> Plan:
        node = next(waiting)
        return Plan(node, [build() for _ in range(int(node["num-children"]))])

    return build()


def _leaves(plan: Plan) -> dict[int, str]:
    """Numbers of the columns that went in, each with its full name: that of its frame is the alias next above it.

    Others above that, and those of what was computed, are names that a transform gave to tell two frames apart.
    """
    went_in = {number for node in plan.nodes() if not node.children for _, number in _output(node)}
    found = dict[int, str]()
    for node in plan.nodes():
        if node.kind == "SubqueryAlias":
            table = str(node.fields["identifier"]["name"])
            # Each node comes before those below it.
            found |= {number: f"{table}.{column}" for column, number in _output(node) if number in went_in}
    return found


def _expressions(plan: Plan) -> Mapping[int, set[int]]:
    """For each number that an expression gives, the numbers that it names."""
    found = defaultdict[int, set[int]](set)
    for node in plan.nodes():
        for expression in _lists(node.fields):
            for place, part in enumerate(expression):
                if _kind(part) == "Alias":
                    found[_number(part)] |= _named(_below(expression, place))
        if node.kind == "Generate":
            named = _named(node.fields["generator"])
            for _, number in _listed(node.fields["generatorOutput"]):
                found[number] |= named
        if node.kind == "Expand":  # a row several times, each with its own expressions: a roll-up, a cube
            for expressions in node.fields["projections"]:
                for (_, number), expression in zip(_output(node), expressions, strict=True):
                    found[number] |= _named(expression) - {number}
        if node.kind == "Union":
            outputs = [_output(child) for child in node.children]
            for columns in zip(*outputs, strict=True):
                found[columns[0][1]] |= {number for _, number in columns[1:]}
    return found


def _named(parts: Iterable[Node]) -> set[int]:
    """The numbers that an expression names."""
    return {_number(part) for part in parts if _kind(part) == "AttributeReference"}


def _lists(fields: Node) -> Iterator[list[Node]]:
    """Every expression of a node: a list of parts, each before its children."""
    for value in fields.values():
        yield from _expressions_in(value)


def _expressions_in(value: object) -> Iterator[list[Node]]:
    if isinstance(value, list):
        if value and all(isinstance(part, dict) and "num-children" in part for part in value):
            yield value
        else:
            for each in value:
                yield from _expressions_in(each)


def _below(expression: list[Node], place: int) -> Iterable[Node]:
    """The part at a place and all its descendants."""
    end, open_children = place, 1
    while open_children:
        open_children += int(expression[end]["num-children"]) - 1
        end += 1
    return expression[place:end]


def _output(plan: Plan) -> list[tuple[str, int]]:
    """Columns of a node, each with its number."""
    if plan.kind in ("Project", "Aggregate"):
        return _listed(plan.fields["projectList" if plan.kind == "Project" else "aggregateExpressions"])
    if not plan.children or plan.kind == "Expand":
        return _listed(plan.fields["output"])
    if plan.kind == "Join":
        kept = plan.children[:1] if _join_type(plan) in SEMI else plan.children
        return [column for child in kept for column in _output(child)]
    columns = _output(plan.children[0])
    if plan.kind == "Window":
        columns = [*columns, *_listed(plan.fields["windowExpressions"])]
    if plan.kind == "Generate":
        columns = [*columns, *_listed(plan.fields["generatorOutput"])]
    return columns


def _listed(expressions: Iterable[list[Node]]) -> list[tuple[str, int]]:
    return [(str(e[0]["name"]), _number(e[0])) for e in expressions]


def _join_type(plan: Plan) -> str:
    found = plan.fields["joinType"]
    return str(found["object"] if isinstance(found, dict) else found).rpartition(".")[2].rstrip("$")


def _kind(part: Node) -> str:
    return str(part["class"]).rpartition(".")[2]


def _number(part: Node) -> int:
    return int(part["exprId"]["id"])


def _origins(number: int, names: Mapping[int, str], made_of: Mapping[int, set[int]], column: str) -> set[str]:
    # A union has the numbers of its first frame, so a column that went in may be made of others too.
    found = {names[number]} if number in names else set[str]()
    if not found and number not in made_of:
        raise ValueError(f"{column} is made of a column of a frame that has no name")
    return found.union(*(_origins(each, names, made_of, column) for each in made_of.get(number, ())))
