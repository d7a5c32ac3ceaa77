"""What a scrape asks of the ledger: runs, rows, quarantine, rules, drift, freshness, backups.

Every statement reads a few rows by an index or a table that is small by nature: a scrape comes twice a minute.
"""

from __future__ import annotations

from lakehouse.monitoring.questions import Question

# Refused because another run was at work: no failure of the layer.
BUSY = "error_code is distinct from 10"
# Of each layer its newest run that a gate has said something about.
JUDGED = """
    from (values ('bronze'), ('silver'), ('gold')) l (layer)
    cross join lateral (
        select run_id from ops.runs r where r.layer = l.layer and r.state <> 'running'
        and exists (select from ops.quality_results q where q.run_id = r.run_id) order by seq desc limit 1
    ) newest
    join ops.quality_results q using (run_id)
"""
# The columns of a source that differ from its contract are findings of bronze under this name.
IS_DRIFT = "q.layer = 'bronze' and q.rule like 'schema\\_%%'"

QUESTIONS = (
    Question(
        "lakehouse_runs",
        "Runs by layer and state, since the ledger began",
        ("layer", "state"),
        "select layer, state, count(*) from ops.runs group by 1, 2 order by 1, 2",
    ),
    Question(
        "lakehouse_run_seconds",
        "Seconds that runs of a layer took, in all",
        ("layer",),
        "select layer, extract(epoch from sum(finished_at - started_at)) from ops.runs where finished_at is not null "
        "group by 1 order by 1",
        "counter",
    ),
    Question(
        "lakehouse_last_run_seconds",
        "Seconds that the newest published run of a layer took",
        ("layer",),
        "select distinct on (layer) layer, extract(epoch from finished_at - started_at) from ops.runs "
        "where state = 'published' order by layer, seq desc",
    ),
    Question(
        "lakehouse_last_run_failed",
        "1 where the newest run of a layer that has ended failed or died, else 0",
        ("layer",),
        "select distinct on (layer) layer, (state in ('failed', 'abandoned'))::int from ops.runs "
        f"where state <> 'running' and {BUSY} order by layer, seq desc",
    ),
    Question(
        "lakehouse_last_run_started_timestamp_seconds",
        "When the newest run of a layer began",
        ("layer",),
        "select distinct on (layer) layer, extract(epoch from started_at) from ops.runs order by layer, seq desc",
    ),
    Question(
        "lakehouse_running_seconds",
        "Seconds for which the run of a layer that is at work has been so",
        ("layer",),
        "select layer, extract(epoch from max(clock_timestamp() - started_at)) from ops.runs where state = 'running' "
        "group by 1",
    ),
    Question(
        "lakehouse_layer_published_timestamp_seconds",
        "When a version of a table of the layer was last published",
        ("layer",),
        "select layer, extract(epoch from max(published_at)) from ops.published group by 1 order by 1",
    ),
    Question(
        "lakehouse_layer_succeeded_timestamp_seconds",
        "When a run of the layer last ended well: published, or covered because nothing was due",
        ("layer",),
        "select layer, extract(epoch from max(finished_at)) from ops.runs where state in ('published', 'covered') "
        "group by 1 order by 1",
    ),
    Question(
        "lakehouse_layer_business_date_timestamp_seconds",
        "Midnight, in the shop's zone, at which the newest business date of the layer began",
        ("layer",),
        "select layer, extract(epoch from max(business_date)::timestamp at time zone coalesce("
        "(select value from ops.settings where name = 'timezone'), 'UTC')) "
        "from ops.runs where state in ('published', 'covered') and layer in ('bronze', 'silver', 'gold') "
        "group by 1 order by 1",
    ),
    Question(
        "lakehouse_last_run_rows",
        "Rows of a table in the newest published run that wrote about it, by what became of them",
        ("layer", "table", "outcome"),
        "select t.layer, t.table_name, o.outcome, o.rows from ops.totals s join ops.run_tables t "
        "using (run_id, layer, table_name) cross join lateral (values ('read', t.rows_read), ('kept', t.rows_kept), "
        "('deduplicated', t.rows_deduplicated), ('displaced', t.rows_displaced), ('removed', t.rows_removed), "
        "('quarantined', t.rows_quarantined)) o (outcome, rows) order by 1, 2, 3",
    ),
    Question(
        "lakehouse_table_rows",
        "Rows that a published table holds",
        ("layer", "table"),
        "select layer, table_name, rows_held from ops.totals order by 1, 2",
    ),
    Question(
        "lakehouse_table_written_bytes",
        "Bytes of data files that runs wrote to a table, in all",
        ("layer", "table"),
        "select layer, table_name, sum(bytes_written) from ops.run_tables group by 1, 2 order by 1, 2",
        "counter",
    ),
    Question(
        "lakehouse_quarantine_rows",
        "Rows open in quarantine by the reason for which they wait; a row may have several",
        ("table", "reason"),
        "select q.table_name, q.reason, q.rows from ops.totals t join ops.quarantine_counts q using (run_id, table_name) "
        "where t.layer = 'silver' order by 1, 2",
    ),
    Question(
        "lakehouse_quarantine_open_rows",
        "Rows of a table that are open in quarantine",
        ("table",),
        "select table_name, rows_open from ops.totals where layer = 'silver' order by 1",
    ),
    Question(
        "lakehouse_broken_rules",
        "Rules that a table did not meet in the newest judged run of its layer",
        ("layer", "table", "severity"),
        f"select q.layer, q.table_name, q.severity, count(*) filter (where not q.success) {JUDGED} "
        f"where not ({IS_DRIFT}) group by 1, 2, 3 order by 1, 2, 3",
    ),
    Question(
        "lakehouse_schema_drift",
        "Columns of a source table that were not as its contract says in the newest judged run of bronze",
        ("table", "severity"),
        f"select q.table_name, q.severity, count(*) {JUDGED} where {IS_DRIFT} group by 1, 2 order by 1, 2",
    ),
    Question(
        "lakehouse_waivers",
        "Rules of a table that hold no row back because a person said so",
        ("table",),
        "select table_name, count(*) from ops.waivers where ended_at is null group by 1 order by 1",
    ),
    Question(
        "lakehouse_ledger_migration",
        "Number of the newest migration of the ledger's schema",
        (),
        "select max(number) from ops.migrations",
    ),
    Question(
        "lakehouse_backup_finished_timestamp_seconds",
        "When the newest complete backup of a kind ended",
        ("kind",),
        "select kind, extract(epoch from max(finished_at)) from ops.backups where state = 'done' group by 1 order by 1",
        needs="ops.backups",
    ),
    Question(
        "lakehouse_backup_covers_until_timestamp_seconds",
        "The newest moment to which lake, ledger and gold can be restored from a backup",
        (),
        "select extract(epoch from max(covers_until)) from ops.backups where state = 'done'",
        needs="ops.backups",
    ),
    Question(
        "lakehouse_backup_bytes",
        "Bytes of the newest complete backup of a kind",
        ("kind",),
        "select distinct on (kind) kind, bytes from ops.backups where state = 'done' order by kind, finished_at desc",
        needs="ops.backups",
    ),
)
