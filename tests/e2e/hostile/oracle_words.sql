-- The words of the rules, one function each. Plain SQL, read from the written rules and from nothing else.
-- Needs PostgreSQL 18: the collation pg_unicode_fast is its root-locale full case mapping (no ICU).
-- Runs with search_path = expected and timezone = the shop's zone.

-- Blank: space, tab, line feed, vertical tab, form feed, carriage return, no-break space. Nothing else is one.
create function clean(t text) returns text immutable
return nullif(btrim(regexp_replace(t, '[\t\n\v\f\r \u00a0]+', ' ', 'g'), ' '), '');

create function upper_case(t text) returns text immutable return upper(t collate pg_unicode_fast) collate "default";
create function lower_case(t text) returns text immutable return lower(t collate pg_unicode_fast) collate "default";

-- Of each word between spaces: upper of the first character, lower of the rest, mapped apart.
create function title_case(t text) returns text immutable
return (
    select string_agg(upper_case(left(word, 1)) || lower_case(substr(word, 2)), ' ' order by place)
    from string_to_table(clean(t), ' ') with ordinality as words (word, place)
);

-- Clean, upper; exactly one .0 at the end goes when all before it are one or more of 0-9.
create function identifier(t text) returns text immutable
return regexp_replace(upper_case(clean(t)), '^([0123456789]+)\.0$', '\1');

create function email(t text) returns text immutable
return substring(lower_case(clean(t)) from '^[^@ ]+@[^@ ]+\.[^@ ]+$');

-- A plus if the first character that is neither a blank nor ( is one; then the digits 0-9.
create function phone(t text) returns text immutable
return case
    when t ~ '[0123456789]'
        then case when t ~ '^[\t\n\v\f\r \u00a0(]*\+' then '+' else '' end
            || regexp_replace(t, '[^0123456789]', '', 'g')
end;

create function order_status(t text) returns text immutable
return case lower_case(clean(t))
    when 'canceled' then 'cancelled'
    when 'complete' then 'delivered'
    when 'completed' then 'delivered'
    when 'refunded' then 'returned'
    else lower_case(clean(t))
end;

-- What Spark can hold; the rest is null in bronze.
create function held(n numeric) returns numeric immutable
return case when n not in ('NaN', 'Infinity', '-Infinity') then n end;

create function held(t timestamptz) returns timestamptz immutable
return case when t >= timestamptz '0001-01-01 00:00:00Z' and t < timestamptz '10000-01-01 00:00:00Z' then t end;

create function held(d date) returns date immutable
return case when d between date '0001-01-01' and date '9999-12-31' then d end;

create function lost(n numeric) returns boolean immutable return n is not null and held(n) is null;
create function lost(t timestamptz) returns boolean immutable return t is not null and held(t) is null;
create function lost(d date) returns boolean immutable return d is not null and held(d) is null;

-- Row text: how each kind of cell is written; cells are joined by U+001F.
create function cell(t text) returns text immutable return coalesce(t, '\N');
create function cell(i integer) returns text immutable return coalesce(i::text, '\N');
create function cell(i bigint) returns text immutable return coalesce(i::text, '\N');
create function cell(n numeric) returns text immutable return coalesce(round(n, 4)::text, '\N');
create function cell(b boolean) returns text immutable return coalesce(b::text, '\N');
create function cell(d date) returns text stable return coalesce(to_char(d, 'YYYY-MM-DD'), '\N');
create function cell(t timestamptz) returns text stable
return coalesce(to_char(t at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '\N');

-- The shop's calendar date: the zone is the session's.
create function shop_date(t timestamptz) returns date stable return t::date;

-- A ratio rounded once to four decimals, half away from zero, in whole numbers only: no quotient is ever cut before.
create function ratio(n numeric, d numeric) returns numeric immutable
return case when d <> 0 then sign(n) * sign(d) * div(2 * abs(n) * 10000 + abs(d), 2 * abs(d)) * 0.0001 end;

-- A derived number that does not fit its type is null.
create function as_margin(n numeric) returns numeric(9, 4) immutable
return case when abs(n) < 100000 then n::numeric(9, 4) end;

create function as_sum(n numeric) returns numeric(18, 4) immutable
return case when abs(n) < 100000000000000 then n::numeric(18, 4) end;

-- A key's part is over 1,000 bytes after the rule: no index holds it.
create function too_long(key_part text) returns boolean immutable return octet_length(key_part) > 1000;

create function reasons(variadic named text[]) returns text[] immutable return array_remove(named, null);
