-- Whether an image was ever passed over for another of its key and its updated_at: it breaks a rule, and is open, as soon as a
-- row that it refers to is gone. Of runs before this, where it is not known, it may be so.

alter table ops.run_tables add column if not exists has_ties boolean not null default true;
alter table ops.totals add column if not exists has_ties boolean not null default true;
comment on column ops.run_tables.has_ties is 'Of silver: whether the run may have met two images of a key with the same updated_at';
comment on column ops.totals.has_ties is 'Of silver: whether a run since the last rebuild may have met two images of a key with the same updated_at';
