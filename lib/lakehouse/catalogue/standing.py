"""What the ledger says of every table: the version that readers see, the newest verdicts on it, its newest runs."""

from __future__ import annotations

from lakehouse.ledger.questions import Questions
from lakehouse.records import Row

# A fortnight of three layers a night: a rule that none of these runs has judged has no verdict to show.
NEWEST_RUNS = 45
SHOWN_RUNS = 5

PUBLISHED = """
    select p.layer, p.table_name as table, p.version, p.run_id, p.business_date, p.published_at,
           case when p.layer = 'quarantine' then s.rows_open else t.rows_held end as rows
    from ops.published p
    left join ops.totals t on t.layer = p.layer and t.table_name = p.table_name
    left join ops.totals s on s.layer = 'silver' and s.table_name = p.table_name
"""
VERDICTS = """
    select distinct on (q.layer, q.table_name, q.rule)
           q.layer, q.table_name as table, q.rule, q.severity, q.success, q.unexpected, q.rows, r.run_id, r.business_date
    from (select run_id, seq, business_date from ops.runs order by seq desc limit %s) r
    join ops.quality_results q using (run_id)
    order by q.layer, q.table_name, q.rule, r.seq desc
"""
RUNS = """
    select layer, "table", run_id, business_date, finished_at, version, rows_kept, rows_quarantined
    from (
        select t.layer, t.table_name as table, r.run_id, r.seq, r.business_date, r.finished_at, t.version, t.rows_kept,
               t.rows_quarantined, row_number() over (partition by t.layer, t.table_name order by r.seq desc) as n
        from (select * from ops.runs order by seq desc limit %s) r join ops.run_tables t using (run_id)
        where r.state = 'published'
    ) newest where n <= %s order by seq desc
"""


class Standing(Questions):
    """What the ledger has of tables; all of it empty where there is no ledger yet."""

    def published(self) -> list[Row]:
        """The published version of every table, with its rows: of quarantine those that are open."""
        return self._rows(PUBLISHED)

    def verdicts(self) -> list[Row]:
        """The newest verdict on each rule of each table."""
        return self._rows(VERDICTS, (NEWEST_RUNS,))

    def runs(self) -> list[Row]:
        """The newest published runs that wrote about each table, newest first."""
        return self._rows(RUNS, (NEWEST_RUNS, SHOWN_RUNS))
