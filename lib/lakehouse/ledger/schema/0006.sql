-- Backups, as the ledger knows them; what is in one its manifest says, which lies with it.

create table if not exists ops.backups (
    id text primary key,
    -- full, log or logical
    kind text not null,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    -- running, done, failed, abandoned (found running by a later one), pruned
    state text not null default 'running',
    bytes bigint,
    -- the moment to which lake, ledger and gold can be restored by it; null unless it is done
    covers_until timestamptz,
    location text not null
);
create index if not exists backups_started on ops.backups (started_at);
comment on table ops.backups is 'Backups of ledger, gold and lake: when each was made, how it ended, and until when it reaches';
