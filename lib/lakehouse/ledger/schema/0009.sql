-- What was counted of each gold table when it was last published, so that a run that follows a change need not count it again.

create table if not exists ops.gold_totals (
    table_name text primary key,
    -- the published version that was counted, and what the counts meant then
    version bigint not null,
    meaning bigint not null,
    totals jsonb not null
);
comment on table ops.gold_totals is 'Counts of rows of each gold table as last published, by name: rows, roll-up, warnings, and what its suite asks for';
