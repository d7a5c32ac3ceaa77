-- What a night asks is asked of a few rows, however long the history; and the ledger knows itself by an id that its lake
-- and every commit bear.
insert into ops.settings (name, value) values ('ledger_id', gen_random_uuid()::text) on conflict (name) do nothing;

-- running, published, covered (an earlier run had done it), failed, abandoned (found running by a later run), rewound
alter table ops.runs add column if not exists reason text;
comment on column ops.runs.reason is 'Why a person asked for this run, in the words of --reason';
create index if not exists runs_published on ops.runs (layer, seq) where state = 'published';
create index if not exists runs_published_date on ops.runs (layer, business_date) where state = 'published';
create index if not exists runs_running on ops.runs (layer) where state = 'running';
create index if not exists run_tables_window on ops.run_tables (layer, table_name, window_end) where window_end is not null;

create index if not exists run_tables_window_end on ops.run_tables (window_end) where layer = 'bronze' and window_end is not null;

create table if not exists ops.leases (
    layer text primary key,
    run_id text not null references ops.runs,
    backend_pid integer not null,
    seen_at timestamptz not null default clock_timestamp()
);
comment on table ops.leases is 'The run that last held each layer''s lock, and when its connection was last heard';

-- One row per published table: sums since it was last rebuilt, so that no run adds all of history up again.
create table if not exists ops.totals (
    layer text not null,
    table_name text not null,
    -- the last published run that wrote about the table
    run_id text not null references ops.runs,
    rows_read bigint not null,
    rows_gone bigint not null,
    rows_held bigint not null,
    rows_open bigint not null,
    -- the newest bronze run whose rows silver has judged
    consumed_seq bigint not null default 0,
    primary key (layer, table_name)
);
comment on table ops.totals is 'Rows of each table since its last rebuild: read, gone (deduplicated or displaced), held, open in quarantine';

insert into ops.totals (layer, table_name, run_id, rows_read, rows_gone, rows_held, rows_open, consumed_seq)
select t.layer, t.table_name, (array_agg(t.run_id order by r.seq desc))[1],
       sum(t.rows_read),
       sum(t.rows_deduplicated + t.rows_displaced),
       case when t.layer = 'gold' or t.layer = 'quarantine' then (array_agg(t.rows_kept order by r.seq desc))[1]
            else sum(t.rows_kept - t.rows_displaced) end,
       (array_agg(t.rows_quarantined order by r.seq desc))[1],
       coalesce((select max(b.seq) from ops.consumed c join ops.runs b on b.run_id = c.bronze_run_id
                 where c.table_name = t.table_name and t.layer = 'silver'), 0)
from ops.run_tables t
join ops.runs r using (run_id)
where r.state = 'published'
  and r.seq >= (select coalesce(max(n.seq), 0) from ops.runs n
                where n.layer = r.layer and n.rebuilds and n.state = 'published' and r.layer <> 'gold')
group by t.layer, t.table_name
on conflict (layer, table_name) do nothing;

create table if not exists ops.actions (
    seq bigint generated always as identity primary key,
    action text not null,
    reason text not null,
    plan jsonb not null,
    by_whom text not null,
    at timestamptz not null default clock_timestamp()
);
comment on table ops.actions is 'What people did to the lakehouse by command, and why: adopt, rewind, rerun, rebuild, waive, maintain';

create table if not exists ops.pins (
    layer text not null,
    table_name text not null,
    version bigint not null,
    reason text not null,
    pinned_at timestamptz not null default clock_timestamp(),
    primary key (layer, table_name, version)
);
comment on table ops.pins is 'Versions that maintenance keeps readable beside the published ones';
