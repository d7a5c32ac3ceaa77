-- Keys of the source as a comparison last saw them: where they are the same again, nothing has to be compared.

alter table ops.published add column keys_seen text;
comment on column ops.published.keys_seen is 'Count and hash of the keys that the source had when those held were last compared with them; null where they were not';
