"""One model of all tables, made of what is written elsewhere: contracts, suites, transforms and the ledger.

No value of a row is in it. Where there is no ledger yet, tables stand as they are meant, and nothing is published.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from lakehouse.catalogue import lineage
from lakehouse.catalogue.standing import Standing
from lakehouse.contracts import Contract, Contracts
from lakehouse.frame.transforms import inputs_of
from lakehouse.judging.suites import Suites
from lakehouse.records import Row

Key = tuple[str, str]
QUARANTINE_GRAIN = "One row per image that breaks a rule and that no newer valid image of its key has overtaken"


@dataclass(frozen=True)
class Column:
    """A column, as its contract has it; `references`: the table of which it names a row."""

    name: str
    type: str
    description: str
    key: bool
    required: bool
    personal: bool
    derived: bool
    references: str | None
    allowed_values: tuple[str, ...]
    made_of: tuple[str, ...] | None = None
    """Columns of other tables whose values go into it, by full names; None: not known."""


@dataclass(frozen=True)
class Rule:
    """A rule and its newest verdict; `success` None where no run of the last nights has judged it.

    `why`: the words of the suite; a rule without any follows from the contract.
    """

    rule: str
    severity: str
    why: str
    holds_back: bool
    success: bool | None = None
    unexpected: int | None = None
    rows: int | None = None
    run_id: str | None = None


@dataclass(frozen=True)
class TableRun:
    """A published run's part in a table."""

    run_id: str
    business_date: date
    finished_at: datetime | None
    version: int | None
    rows_kept: int
    rows_quarantined: int


@dataclass(frozen=True)
class Table:
    """One table of one layer: what it is meant to be, and how it stands. `version` None: never published."""

    name: str
    layer: str
    purpose: str
    grain: str
    owner: str
    contract_version: str
    status: str
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...]
    upstream: tuple[str, ...]
    downstream: tuple[str, ...]
    version: int | None
    rows: int | None
    business_date: date | None
    published_at: datetime | None
    run_id: str | None
    runs: tuple[TableRun, ...]

    @property
    def personal(self) -> bool:
        return any(c.personal for c in self.columns)

    @property
    def broken(self) -> tuple[Rule, ...]:
        """Rules whose newest verdict is that they are not met."""
        return tuple(r for r in self.rules if r.success is False)


@dataclass(frozen=True)
class Catalogue:
    """Every table by layer, and what each is made of, the source's tables too."""

    tables: tuple[Table, ...]
    lineage: Mapping[str, tuple[str, ...]]


def catalogue(contracts: Contracts, suites: Suites, ledger: Standing) -> Catalogue:
    """The model of all tables. Raises LedgerError for a ledger of an earlier release, StoreError where it does not answer."""
    made = lineage.upstream(contracts, inputs_of(contracts["gold"]))
    columns = lineage.columns_upstream(contracts)
    after = lineage.downstream(made)
    published = {(r["layer"], r["table"]): r for r in ledger.published()}
    verdicts, runs = _by_table(ledger.verdicts()), _by_table(ledger.runs())
    tables = []
    for layer, contract in _contracts(contracts):
        key, name = (layer, contract.table), f"{layer}.{contract.table}"
        standing = published.get(key, {})
        in_quarantine = layer == "quarantine"
        tables.append(
            Table(
                name,
                layer,
                f"Rows of silver.{contract.table} that wait" if in_quarantine else contract.description.purpose,
                QUARANTINE_GRAIN if in_quarantine else contract.grain,
                contract.owner,
                contract.version,
                contract.status,
                tuple(_columns(contract, name, columns)),
                () if in_quarantine else tuple(_rules(contract, suites, verdicts[key])),
                made[name],
                after[name],
                standing.get("version"),
                standing.get("rows"),
                standing.get("business_date"),
                standing.get("published_at"),
                standing.get("run_id"),
                tuple(TableRun(**run) for run in runs[key]),
            )
        )
    return Catalogue(tuple(tables), made)


def _contracts(contracts: Contracts) -> Iterator[tuple[str, Contract]]:
    """Layer and contract of every table; quarantine holds rows as bronze has them."""
    yield from (("bronze", c) for c in contracts["bronze"].values())
    yield from (("quarantine", contracts["bronze"][table]) for table in contracts["silver"])
    yield from ((layer, c) for layer in ("silver", "gold") for c in contracts[layer].values())


def _by_table(rows: Iterable[Row]) -> defaultdict[Key, list[dict[str, Any]]]:
    found = defaultdict[Key, list[dict[str, Any]]](list)
    for row in rows:
        found[row.pop("layer"), row.pop("table")].append(row)
    return found


def _columns(contract: Contract, table: str, made: Mapping[str, tuple[str, ...]]) -> Iterator[Column]:
    for c in contract.columns:
        parent = f"{contract.layer}.{c.references.table}" if c.references else None
        yield Column(c.name, c.type, c.description, c.primary_key, c.required or c.primary_key,
                     c.classification == "personal", c.derived, parent, c.allowed_values,
                     made.get(f"{table}.{c.name}"))  # fmt: skip


def _rules(contract: Contract, suites: Suites, verdicts: Iterable[Row]) -> Iterator[Rule]:
    """Rules of the suite, judged or not, and those that follow from the contract, as far as they were judged."""
    judged = {v["rule"]: v for v in verdicts}
    for e in suites[contract.layer][contract.table].expectations:
        yield _rule(e.rule, e.severity, e.notes, bool(e.meta.reason), judged.pop(e.rule, None))
    for rule, verdict in sorted(judged.items()):
        yield _rule(rule, verdict["severity"], "", False, verdict)


def _rule(rule: str, severity: str, why: str, holds_back: bool, verdict: Row | None) -> Rule:
    if verdict is None:
        return Rule(rule, severity, why, holds_back)
    return Rule(
        rule, severity, why, holds_back, verdict["success"], verdict["unexpected"], verdict["rows"], verdict["run_id"]
    )
