"""What a snapshot asks the server about itself and its tables, as SQL."""

STANDING = """
    select now(), pg_is_in_recovery(), pg_last_xact_replay_timestamp(), current_setting('server_encoding'),
           (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint || '@' ||
           coalesce(host(inet_server_addr()) || ':' || inet_server_port(), 'local')
"""
READABLE = """
    select t, c.oid is not null, coalesce(has_any_column_privilege(c.oid, 'select'), false)
    from unnest(%(tables)s) t left join pg_class c on c.oid = to_regclass(format('%%I.%%I', %(schema)s, t))
    order by t
"""
# What marks the relations of a table of which a row security policy hides rows from our role, or may.
POLICY = "policy"
# A table, its partitions and heirs; of a view the relations it shows. A file has the number of its relation at first.
# The policy that counts is that of the table which is asked; once it is gone, other rows are visible, as after DDL.
RELATIONS = """
    with recursive tree (oid) as (
        select to_regclass(%(name)s)::oid
        union
        select below.oid from tree join pg_class c on c.oid = tree.oid cross join lateral (
            select inhrelid as oid from pg_inherits where inhparent = c.oid
            union all
            select d.refobjid from pg_rewrite w join pg_depend d on d.objid = w.oid
            where c.relkind = 'v' and w.ev_class = c.oid and d.classid = 'pg_rewrite'::regclass
            and d.refclassid = 'pg_class'::regclass and d.deptype = 'n'
        ) below
    )
    select c.oid::text || coalesce('.' || nullif(pg_relation_filenode(c.oid), c.oid)::text, '')
           || case when row_security_active(to_regclass(%(name)s)::oid) then '.' || %(policy)s else '' end
    from tree join pg_class c using (oid) where c.relkind in ('r', 'p', 'm', 'v', 'f')
"""

# A valid unique index over nothing but columns of the key; one of a table with heirs does not cover their rows.
UNIQUE = """
    select exists (
        select from pg_index i join pg_class c on c.oid = i.indrelid
        where c.oid = to_regclass(%(name)s) and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
        and (c.relkind <> 'r' or not exists (select from pg_inherits where inhparent = c.oid))
        and (select array_agg(a.attname::text) from pg_attribute a where a.attrelid = c.oid
             and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])) <@ %(key)s
    )
"""
