"""What a scrape asks of the Postgres that holds gold and the ledger: its own views, which any role may read.

What a role without `pg_monitor` does not see of other sessions is counted under the state `unknown`.
"""

from __future__ import annotations

from lakehouse.monitoring.questions import Question

# Tables of a run's own have names of their own: as labels they would never end.
OF_USERS = "schemaname <> 'gold_staging'"

QUESTIONS = (
    Question(
        "lakehouse_postgres_connections",
        "Sessions of the gold database by state",
        ("state",),
        "select coalesce(state, 'unknown'), count(*) from pg_stat_activity where datname = current_database() "
        "group by 1 order by 1",
    ),
    Question(
        "lakehouse_postgres_max_connections",
        "Sessions that the server lets in",
        (),
        "select current_setting('max_connections')::int",
    ),
    Question(
        "lakehouse_postgres_server_connections",
        "Sessions of all databases of the server",
        (),
        "select sum(numbackends) from pg_stat_database",
    ),
    Question(
        "lakehouse_postgres_database_bytes",
        "Size of the gold database on disk",
        (),
        "select pg_database_size(current_database())",
    ),
    Question(
        "lakehouse_postgres_blocks",
        "Blocks that the gold database asked for: found in the server's cache (hit), or not (read)",
        ("source",),
        "select v.* from pg_stat_database d, lateral (values ('hit', blks_hit), ('read', blks_read)) v "
        "where datname = current_database()",
        "counter",
    ),
    Question(
        "lakehouse_postgres_transactions",
        "Transactions of the gold database by how they ended",
        ("outcome",),
        "select v.* from pg_stat_database d, lateral (values ('committed', xact_commit), ('rolled_back', xact_rollback)) v "
        "where datname = current_database()",
        "counter",
    ),
    Question(
        "lakehouse_postgres_deadlocks",
        "Deadlocks in the gold database",
        (),
        "select deadlocks from pg_stat_database where datname = current_database()",
        "counter",
    ),
    Question(
        "lakehouse_postgres_temporary_bytes",
        "Bytes that queries of the gold database wrote to temporary files",
        (),
        "select temp_bytes from pg_stat_database where datname = current_database()",
        "counter",
    ),
    Question(
        "lakehouse_postgres_oldest_transaction_seconds",
        "Age of the oldest open transaction of the gold database that this role may see",
        (),
        "select extract(epoch from max(clock_timestamp() - xact_start)) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()",
    ),
    Question(
        "lakehouse_postgres_table_bytes",
        "Size of a table on disk, with its indexes",
        ("schema", "table"),
        f"select schemaname, relname, pg_total_relation_size(relid) from pg_stat_user_tables where {OF_USERS} order by 1, 2",
    ),
    Question(
        "lakehouse_postgres_dead_rows",
        "Rows of a table that are dead and not vacuumed yet, by the server's estimate",
        ("schema", "table"),
        f"select schemaname, relname, n_dead_tup from pg_stat_user_tables where {OF_USERS} order by 1, 2",
    ),
    Question(
        "lakehouse_postgres_bloat_bytes",
        "Bytes of a table beyond what its rows need by the planner's statistics: an estimate, without alignment",
        ("schema", "table"),
        # A row has a header of 24 bytes and a pointer of 4; a page of 8,192 keeps 24 for itself.
        "select c.nspname, c.relname, greatest(0, pg_relation_size(c.oid) - "
        "ceil(c.reltuples * (28 + coalesce(s.width, 0)) / (current_setting('block_size')::numeric - 24)) "
        "* current_setting('block_size')::numeric) "
        "from (select c.oid, n.nspname, c.relname, c.reltuples from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where c.relkind = 'r' and c.reltuples > 0 and n.nspname in ('gold', 'ops')) c "
        "join lateral (select sum(avg_width * (1 - null_frac)) as width from pg_stats s "
        "where s.schemaname = c.nspname and s.tablename = c.relname) s on s.width is not null order by 1, 2",
    ),
    Question(
        "lakehouse_postgres_standbys",
        "Standbys and other receivers of the server's log, by state",
        ("state",),
        "select coalesce(state, 'unknown'), count(*) from pg_stat_replication group by 1 order by 1",
    ),
    Question(
        "lakehouse_postgres_replication_lag_bytes",
        "Bytes of the log that the slowest standby has not replayed",
        (),
        "select case when pg_is_in_recovery() then null else "
        "(select max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)) from pg_stat_replication) end",
    ),
    Question(
        "lakehouse_postgres_is_standby",
        "1 where the server is itself a standby",
        (),
        "select pg_is_in_recovery()::int",
    ),
    Question(
        "lakehouse_postgres_wal_archived",
        "Files of the log by whether they could be archived",
        ("outcome",),
        "select v.* from pg_stat_archiver a, lateral (values ('archived', archived_count), ('failed', failed_count)) v",
        "counter",
    ),
    Question(
        "lakehouse_postgres_statement_seconds",
        "Seconds of the ten statements that took most, by their number in pg_stat_statements; their words are not told",
        ("queryid",),
        "select queryid, sum(total_exec_time) / 1000 from pg_stat_statements join pg_database d on d.oid = dbid "
        "where datname = current_database() and queryid is not null group by 1 order by 2 desc limit 10",
        "counter",
        needs="pg_stat_statements",
    ),
)
