-- Deletes at the source: tombstones that bronze holds, images that they void, and what is judged once more because of them.

alter table ops.run_tables add column rows_removed bigint not null default 0;
alter table ops.run_tables add column rows_recalled bigint not null default 0;
alter table ops.run_tables add column rows_reopened bigint not null default 0;
comment on column ops.run_tables.rows_removed is 'Of bronze: tombstones, one per key that is gone; of silver: images that a tombstone voids';
comment on column ops.run_tables.rows_recalled is 'Rows of silver that left it to be judged again: their key, or a row that they refer to, is gone';
comment on column ops.run_tables.rows_reopened is 'Deduplicated images that are judged again, as the row that had overtaken them refers to a row that is gone';

alter table ops.totals add column rows_removed bigint not null default 0;
comment on table ops.totals is 'Rows of each table since its last rebuild: read, gone (deduplicated or displaced), held, open in quarantine, removed';
