-- The ledger as the first release made it; safe to run on one of those.

create table if not exists ops.settings (
    name text primary key,
    value text not null
);

create table if not exists ops.runs (
    seq bigint generated always as identity unique,
    run_id text primary key,
    layer text not null,
    business_date date not null,
    -- running, published, failed, abandoned (found running by a later run)
    state text not null default 'running',
    rebuilds boolean not null default false,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    inputs jsonb not null default '{}',
    error_code integer,
    message text,
    host text,
    pid integer
);
create index if not exists runs_layer_date on ops.runs (layer, business_date);

create table if not exists ops.run_tables (
    run_id text not null references ops.runs,
    layer text not null,
    table_name text not null,
    version bigint,
    rows_read bigint not null,
    rows_kept bigint not null,
    rows_deduplicated bigint not null,
    rows_quarantined bigint not null,
    -- rows that left the table for a newer image of their key
    rows_displaced bigint not null,
    bytes_written bigint not null,
    window_start timestamptz,
    window_end timestamptz,
    snapshot text,
    primary key (run_id, layer, table_name)
);

create table if not exists ops.published (
    layer text not null,
    table_name text not null,
    version bigint not null,
    run_id text not null references ops.runs,
    business_date date not null,
    shape jsonb not null,
    published_at timestamptz not null,
    primary key (layer, table_name)
);
comment on table ops.published is 'The version of each table that passed its gate: what readers see';

create table if not exists ops.consumed (
    table_name text not null,
    bronze_run_id text not null references ops.runs,
    silver_run_id text not null references ops.runs,
    primary key (table_name, bronze_run_id)
);

create table if not exists ops.quality_results (
    run_id text not null references ops.runs,
    layer text not null,
    table_name text not null,
    rule text not null,
    severity text not null,
    success boolean not null,
    unexpected bigint,
    rows bigint,
    checked_at timestamptz not null default clock_timestamp()
);
create index if not exists quality_results_run on ops.quality_results (run_id);

create table if not exists ops.quarantine_counts (
    run_id text not null references ops.runs,
    table_name text not null,
    reason text not null,
    rows bigint not null,
    primary key (run_id, table_name, reason)
);
