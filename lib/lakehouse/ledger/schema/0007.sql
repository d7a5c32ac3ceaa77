-- Customers who were forgotten, and stay out: known by a keyed digest only.

create table if not exists ops.forgotten (
    digest text primary key,
    recorded_at timestamptz not null default clock_timestamp(),
    -- null while a command that forgets the customer has not come to its end
    forgotten_at timestamptz,
    -- the run of silver without the customer: nothing that was published before it can be published again
    silver_run_id text
);
comment on table ops.forgotten is 'HMAC-SHA-256 of identifiers of customers who were forgotten, by which their rows are kept out of the lake; the key is forget_key of ops.settings';

insert into ops.settings (name, value)
values ('forget_key', replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')) on conflict (name) do nothing;
