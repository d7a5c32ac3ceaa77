-- Who started a run, so that its lineage is told of again in the same words.

alter table ops.runs add column if not exists started_by jsonb;
comment on column ops.runs.started_by is 'What the environment of the run said of the scheduler''s task that started it; null where nothing';
