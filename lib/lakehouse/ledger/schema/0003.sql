-- Repairs by command: what a rewind takes back, what a person lets through.

-- Every judging of a bronze run is kept, where only the newest was: a rewind falls back to the one before.
alter table ops.consumed drop constraint consumed_pkey;
alter table ops.consumed add primary key (table_name, bronze_run_id, silver_run_id);
create index if not exists runs_rewound on ops.runs (seq) where state = 'rewound';

create table if not exists ops.waivers (
    seq bigint generated always as identity primary key,
    table_name text not null,
    rule text not null,
    reason text not null,
    by_whom text not null,
    at timestamptz not null default clock_timestamp(),
    -- null while the waiver holds
    ended_at timestamptz
);
create unique index if not exists waivers_in_force on ops.waivers (table_name, rule) where ended_at is null;
comment on table ops.waivers is 'Rules of silver''s suites that hold no row back, by table, since when, and why';
