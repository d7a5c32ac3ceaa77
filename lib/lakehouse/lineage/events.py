"""The events of a run: a start and an end of the run of its layer, and of each table that it published.

An event names tables, columns, rules and counts; no value of a row is in one. Its run ids follow from the ledger's, so
that events which are sent again are of the same runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from openlineage.client import event_v2 as event
from openlineage.client import facet_v2 as facet
from openlineage.client.generated import input_statistics_input_dataset, tags_dataset, tags_run
from openlineage.client.generated.base import DatasetFacet, InputDatasetFacet, RunFacet
from openlineage.client.serde import Serde
from openlineage.client.uuid import generate_static_uuid

from lakehouse.business_date import BusinessDate
from lakehouse.catalogue.lineage import Upstream, columns_upstream, upstream
from lakehouse.contracts import Contract, Contracts
from lakehouse.frame.transforms import inputs_of
from lakehouse.lineage.ended import Ended, TableEnded
from lakehouse.lineage.names import Names
from lakehouse.lineage.parent import Parent
from lakehouse.records import Finding

NAMESPACE = "lakehouse"
PRODUCER = "urn:lakehouse:lineage"
END = {"published": "COMPLETE", "covered": "COMPLETE", "rewound": "COMPLETE", "abandoned": "ABORT"}
SEVERITIES = {"critical": "error", "warning": "warn"}


def lines_of(run: Ended, contracts: Contracts, names: Names, zone: ZoneInfo, parent: Parent | None = None) -> list[str]:
    """The events of a run, each as one line of JSON, in the order of what happened. `parent`: who has started the run."""
    made = upstream(contracts, inputs_of(contracts["gold"]))
    telling = _Telling(run, contracts, names, zone, parent, made, columns_upstream(contracts))
    return [Serde.to_json(e) for e in telling.events()]


@dataclass(frozen=True)
class _Telling:
    """One run, and what is needed to tell of it."""

    run: Ended
    contracts: Contracts
    names: Names
    zone: ZoneInfo
    parent: Parent | None
    upstream: Upstream
    columns: Upstream

    def events(self) -> Iterator[event.RunEvent]:
        layer = self.run.layer
        yield self._event("START", layer)
        for table in self.run.tables:
            # One that there is no contract of any more is no table of ours now.
            if table.version is not None and table.name in self.upstream:
                yield self._event("START", table.name)
                yield self._event("COMPLETE", table.name, self._inputs(table), [self._output(table)])
        yield self._event(END.get(self.run.state, "FAIL"), layer, self._judged())

    def _event(
        self,
        kind: str,
        of: str,
        inputs: list[event.InputDataset] | None = None,
        outputs: list[event.OutputDataset] | None = None,
    ) -> event.RunEvent:
        at = self.run.started_at if kind == "START" else self.run.finished_at
        kind_of_job = facet.job_type_job.JobTypeJobFacet("BATCH", "LAKEHOUSE", "TASK" if "." in of else "JOB")
        return event.RunEvent(
            eventTime=at.isoformat(),
            eventType=event.RunState[kind],
            run=event.Run(self._run_id(of), self._run_facets(kind, of)),
            job=event.Job(NAMESPACE, f"lakehouse.{of}", {"jobType": kind_of_job}),
            inputs=inputs or [],
            outputs=outputs or [],
            producer=PRODUCER,
        )

    def _run_id(self, of: str) -> str:
        return str(generate_static_uuid(self.run.started_at, f"{self.run.run_id}/{of}".encode()))

    def _run_facets(self, kind: str, of: str) -> dict[str, RunFacet]:
        run, day = self.run, BusinessDate(self.run.business_date, self.zone)
        begin = BusinessDate(run.business_date - timedelta(days=1), self.zone).end
        facets: dict[str, RunFacet] = {
            "nominalTime": facet.nominal_time_run.NominalTimeRunFacet(_instant(begin), _instant(day.end)),
            # By these a reader finds the run in the ledger and among the Data Docs.
            "tags": tags_run.TagsRunFacet([
                tags_run.TagsRunFacetFields(key, value, "LAKEHOUSE")
                for key, value in (("ledger_run", run.run_id), ("state", run.state))
            ]),
        }  # fmt: skip
        if parent := self._parent(of):
            facets["parent"] = parent
        if kind in ("FAIL", "ABORT"):
            words = run.message or "the run died: a later run of its layer found its lock free"
            facets["errorMessage"] = facet.error_message_run.ErrorMessageRunFacet(words, "PYTHON")
        return facets

    def _parent(self, of: str) -> RunFacet | None:
        """Of a table the run of its layer; of that what has started it; and what is the root of both."""
        kinds, above, layer = facet.parent_run, self.parent, self.run.layer
        root = kinds.Root(kinds.RootRun(above.run_id), kinds.RootJob(above.namespace, above.job)) if above else None
        if of != layer:
            run, job = kinds.Run(self._run_id(layer)), kinds.Job(NAMESPACE, f"lakehouse.{layer}")
        elif above:
            run, job = kinds.Run(above.run_id), kinds.Job(above.namespace, above.job)
        else:
            return None
        return kinds.ParentRunFacet(run, job, root)

    def _contract(self, table: str) -> Contract:
        """The contract of a table by its full name; source and quarantine hold rows as bronze's says."""
        layer, _, name = table.partition(".")
        return self.contracts["bronze" if layer in ("source", "quarantine") else layer][name]

    def _inputs(self, table: TableEnded) -> list[event.InputDataset]:
        """What a table was made of, in the versions that were read.

        A table that is built on another's working columns is made of what these are made of, which has been read too.
        """
        found, read = [], self.run.read or {}
        handed_on = (of.rpartition(".")[0] for c in self._contract(table.name).names
                     for of in self.columns.get(f"{table.name}.{c}", ()))  # fmt: skip
        for name in dict.fromkeys([*self.upstream[table.name], *handed_on]):
            facets: dict[str, DatasetFacet] = {}
            counted: dict[str, InputDatasetFacet] = {}
            if name.startswith("source."):
                facets, version = self._described(name), table.snapshot
                statistics = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(rowCount=table.rows_read)
                counted["inputStatistics"] = statistics
            elif (number := read.get(name)) is not None:
                version = str(number)
            else:  # a quarantine in which nothing has ever waited
                continue
            if version:
                facets["version"] = facet.dataset_version_dataset.DatasetVersionDatasetFacet(version)
            found.append(event.InputDataset(*self.names.of(name), inputFacets=counted, facets=facets))
        return found

    def _output(self, table: TableEnded) -> event.OutputDataset:
        facets = self._described(table.name)
        facets["version"] = facet.dataset_version_dataset.DatasetVersionDatasetFacet(str(table.version))
        if made := self._columns(table.name):
            facets["columnLineage"] = facet.column_lineage_dataset.ColumnLineageDatasetFacet(made)
        kinds = facet.output_statistics_output_dataset
        # Of gold the ledger knows no bytes.
        counted = kinds.OutputStatisticsOutputDatasetFacet(rowCount=table.rows_kept, size=table.bytes_written or None)
        outputs = {"outputStatistics": counted}
        return event.OutputDataset(*self.names.of(table.name), outputFacets=dict(outputs), facets=facets)

    def _described(self, table: str) -> dict[str, DatasetFacet]:
        """What the contract says of a table: columns with types and descriptions, purpose, owner, which are personal."""
        contract = self._contract(table)
        fields = [
            facet.schema_dataset.SchemaDatasetFacetFields(c.name, c.type, c.description, n)
            for n, c in enumerate(contract.columns, 1)
        ]
        owner = facet.ownership_dataset.Owner(contract.owner)
        facets: dict[str, DatasetFacet] = {
            "schema": facet.schema_dataset.SchemaDatasetFacet(fields),
            "documentation": facet.documentation_dataset.DocumentationDatasetFacet(contract.description.purpose),
            "ownership": facet.ownership_dataset.OwnershipDatasetFacet([owner]),
        }
        if personal := [c.name for c in contract.columns if c.classification == "personal"]:
            marks = [tags_dataset.TagsDatasetFacetFields("personal", "true", "LAKEHOUSE", name) for name in personal]
            facets["tags"] = tags_dataset.TagsDatasetFacet(marks)
        return facets

    def _columns(self, table: str) -> dict[str, facet.column_lineage_dataset.Fields]:
        """Of each column the columns whose values go into it; one without any is a constant or a count."""
        kinds, found = facet.column_lineage_dataset, {}
        for column in self._contract(table).names:
            fields = []
            for of in self.columns.get(f"{table}.{column}", ()):
                name, _, field = of.rpartition(".")
                fields.append(kinds.InputField(*self.names.of(name), field, [kinds.Transformation("DIRECT")]))
            if fields:
                found[column] = kinds.Fields(fields)
        return found

    def _judged(self) -> list[event.InputDataset]:
        """The tables that the gate of the layer has read, each with its rules: the gate is a part of the layer's run."""
        by_table: dict[str, list[Finding]] = {}
        for finding in self.run.findings:
            by_table.setdefault(f"{finding.layer}.{finding.table}", []).append(finding)
        versions = {t.name: t.version for t in self.run.tables}
        return [self._judged_table(name, found, versions) for name, found in by_table.items()]

    def _judged_table(self, name: str, found: list[Finding], versions: Mapping[str, int | None]) -> event.InputDataset:
        facets: dict[str, DatasetFacet] = {}
        if (version := versions.get(name)) is not None:
            facets["version"] = facet.dataset_version_dataset.DatasetVersionDatasetFacet(str(version))
        kinds = facet.data_quality_assertions_dataset
        rules = kinds.DataQualityAssertionsDatasetFacet([
            kinds.Assertion(
                f.rule,
                f.success,
                severity=SEVERITIES[f.severity],
                actual=None if f.unexpected is None else str(f.unexpected),
                params={} if f.rows is None else {"rows": f.rows},
            )
            for f in found
        ])  # fmt: skip
        return event.InputDataset(*self.names.of(name), inputFacets={"dataQualityAssertions": rules}, facets=facets)


def _instant(moment: datetime) -> str:
    return moment.isoformat()
