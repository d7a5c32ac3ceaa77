-- Day 1: the shop's history, in one extract. Rows are named after the rule they try; most are stamped
-- 2018-10-27 12:00Z, which is before the end of the first business date (2018-10-27) in both zones.

-- customers ---------------------------------------------------------------------------------------------------------

-- Identifiers: the .0 of a float export, and what only looks like one. City names the image.
insert into customers (customer_id, city, created_at, updated_at)
select id, city, '2018-01-05 12:00Z', '2018-10-27 12:00Z'
from (values
    ('17850.0', 'float export'), ('A1.0', 'stays'), ('.0', 'stays'), ('1.00', 'stays'), ('1.0.0', 'stays'),
    ('0.0', 'zero'), ('007.0', 'leading zeros stay'), (E' 12.0\t', 'twelve'), (E'13\n.0', 'inner blank'),
    ('1e5.0', 'no number'), (E'\u0661.0', 'Arabic digit'), (E'17852.0\u2028', 'line separator after'),
    (E'17853.0\u0085', 'next line after'), (repeat('9', 1000) || '.0', 'a thousand nines'),
    -- full case mapping in the root locale
    (E'\u01491', 'n with apostrophe'), (E'\u0130stanbul', 'I with a dot'), (E'\u01c61', 'dz with caron'),
    (E'\ufb019', 'fi ligature'), (E'\u03901', 'iota, dialytika, tonos'), (E'\U000104281', 'Deseret'),
    (E'\U0001f600', 'emoji'),
    (E'\u00e9', 'one character'), (E'e\u0301', 'two characters'),
    -- text that means something elsewhere
    ('null', 'NULL'), ('nan', 'NaN'), (E'\\n', E'\\N'), (E'us\u001fkey', E'unit\u001fseparator'),
    ('it''s "quoted", a;b', 'it''s "quoted", a;b'), (E'back\\slash', E'C:\\new\\table'),
    (E'two\r\n\v\flines', E'two\r\n\v\flines'),
    (repeat(E'\u00e9', 500), 'exactly 1000 bytes'), (repeat(E'\u0131', 900), '1800 bytes, 900 after the rule')
) as keys (id, city);

-- Two spellings of one key: the higher updated_at wins; a tie goes to the least raw key, then the least md5.
insert into customers (customer_id, city, created_at, updated_at)
select id, city, '2018-01-05 12:00Z', updated_at::timestamptz
from (values
    ('17850', 'plain, older', '2018-10-27 11:00Z'),
    ('17851', 'least', '2018-10-27 12:00Z'), ('17851.0', 'longer', '2018-10-27 12:00Z'),
    ('TIE-A', 'upper', '2018-10-27 12:00Z'), ('tie-a', 'lower', '2018-10-27 12:00Z'),
    (' tie-a ', 'space first', '2018-10-27 12:00Z'),
    (E'\u00a0tie-b', 'no-break space', '2018-10-27 12:00Z'), ('tie-b', 'lower', '2018-10-27 12:00Z'),
    (E'\ttie-c', 'tab', '2018-10-27 12:00Z'), (' TIE-C', 'space', '2018-10-27 12:00Z'),
    ('tie-md5', 'one', '2018-10-27 12:00Z'), ('tie-md5', 'two', '2018-10-27 12:00Z'),
    ('tie-md5', 'three', '2018-10-27 12:00Z'),
    ('twin', 'equal rows', '2018-10-27 12:00Z'), ('twin', 'equal rows', '2018-10-27 12:00Z'),
    (E'stra\u00dfe', 'sharp s, newer', '2018-10-27 12:00:00.000001Z'), ('STRASSE', 'two s', '2018-10-27 12:00Z'),
    (E'\u03bf\u03b4\u03c5\u03c3\u03c3\u03b5\u03c5\u03c2', 'final sigma', '2018-10-27 12:00Z'),
    (E'\u03bf\u03b4\u03c5\u03c3\u03c3\u03b5\u03c5\u03c3', 'plain sigma', '2018-10-27 12:00Z'),
    (E'\u039f\u0394\u03a5\u03a3\u03a3\u0395\u03a5\u03a3', 'upper', '2018-10-27 11:59:59.999999Z'),
    ('i1', 'i', '2018-10-27 12:00Z'), (E'\u01311', 'dotless i', '2018-10-27 12:00Z'),
    (E'\u01c5x', 'titlecase', '2018-10-27 12:00Z'), (E'\u01c6x', 'lower', '2018-10-27 12:00Z')
) as spellings (id, city, updated_at);

-- Keys that leave: null, blank, reserved, too long (also one that only grows too long when upper-cased).
insert into customers (customer_id, city, created_at, updated_at)
select id, city, '2018-01-05 12:00Z', '2018-10-27 12:00Z'
from (values
    (null, 'key null'), (null, 'key null'), ('', 'key empty'), (E' \t\n\v\f\r\u00a0', 'key of blanks'),
    ('UNKNOWN', 'reserved'), (' unknown ', 'reserved'), (E'Unknown\u00a0', 'reserved'),
    (repeat(E'\u00e9', 500) || 'x', '1001 bytes'), (repeat(E'\u0149', 400), '800 bytes, 1200 after the rule')
) as keys (id, city);

-- Times: what Spark cannot hold, what lies outside every window, dates that differ between zones and calendars.
insert into customers (customer_id, city, created_at, updated_at)
select id, 'time', created_at::timestamptz, updated_at::timestamptz
from (values
    ('born-infinite', 'infinity', '2018-10-27 12:00Z'), ('born-minus-infinite', '-infinity', '2018-10-27 12:00Z'),
    ('born-bc', '0044-03-15 12:00Z BC', '2018-10-27 12:00Z'), ('born-10000', '10000-01-02 12:00Z', '2018-10-27 12:00Z'),
    ('stamped-bc', '2018-01-05 12:00Z', '0044-03-15 12:00Z BC'),
    ('stamped-bc-and-well', '2018-01-05 12:00Z', '0044-03-15 12:00Z BC'),
    ('stamped-bc-and-well', '2018-01-05 12:00Z', '2018-10-27 12:00Z'),
    ('unknown', 'infinity', '2018-10-27 12:00Z'),
    ('outside-infinite', '2018-01-05 12:00Z', 'infinity'), ('outside-minus-infinite', '2018-01-05 12:00Z', '-infinity'),
    ('outside-null', '2018-01-05 12:00Z', null), ('outside-9999', '2018-01-05 12:00Z', '9999-12-30 12:00Z'),
    ('outside-10000', '2018-01-05 12:00Z', '10000-01-02 12:00Z'),
    ('born-null', null, '2018-10-27 12:00Z'), ('born-0001', '0001-01-02 12:00Z', '2018-10-27 12:00Z'),
    ('born-9999', '9999-12-30 12:00Z', '2018-10-27 12:00Z'), ('born-1582', '1582-10-10 12:00Z', '2018-10-27 12:00Z'),
    ('born-1500', '1500-03-01 12:00Z', '2018-10-27 12:00Z'), ('born-1890', '1890-01-01 03:03Z', '2018-10-27 12:00Z'),
    ('born-1893', '1893-03-31 23:10Z', '2018-10-27 12:00Z'), ('stamped-1500', '2018-01-05 12:00Z', '1500-03-01 12:00Z'),
    -- the ends of the first window: 2018-10-27 22:00Z in Berlin, 2018-10-28 03:00Z in Sao Paulo
    ('edge-berlin-in', '2018-01-05 12:00Z', '2018-10-27 21:59:59.999999Z'),
    ('edge-berlin-out', '2018-01-05 12:00Z', '2018-10-27 22:00Z'),
    ('edge-sao-paulo-in', '2018-01-05 12:00Z', '2018-10-28 02:59:59.999999Z'),
    ('edge-sao-paulo-out', '2018-01-05 12:00Z', '2018-10-28 03:00Z'),
    -- the night of 2018-11-04, whose midnight does not exist in Sao Paulo
    ('edge-no-midnight-in', '2018-01-05 12:00Z', '2018-11-04 02:59:59.999999Z'),
    ('edge-no-midnight-out', '2018-01-05 12:00Z', '2018-11-04 03:00Z')
) as times (id, created_at, updated_at);

insert into customers (customer_id, email, created_at, updated_at)
select 'email-' || id, email, '2018-01-05 12:00Z', '2018-10-27 12:00Z'
from (values
    ('plain', 'a@b.c'), ('clean', E' \u00a0A.B@Example.ORG\t'), ('line-end', E'a@b.c\n'), ('no-dot', 'a@b'),
    ('inner-space', 'a b@c.d'), ('inner-newline', E'a\nb@c.d'), ('two-ats', 'a@@b.c'), ('late-at', 'a@b.c@d'),
    ('dot-last', 'a@b.'), ('no-name', '@b.c'), ('dot-first', 'a@.c'), ('two-dots', 'a@..c'), ('dots-only', 'a@...'),
    ('line-separator', E'a@b.c\u2028'), ('next-line', E'a@b.c\u0085'), ('only-line-separator', E'a@b.\u2028'),
    ('line-separator-at', E'a@b.c\u2028@'), ('line-separator-space', E'a@b.c\u2028 x'),
    ('first-next-line', E'\u0085a@b.c'),
    ('em-space', E'\u2003a@b.c'), ('kelvin', E'\u212a@X.Y'), ('dotted-i', E'\u0130@X.Y'),
    ('sigma', E'\u039f\u0394\u039f\u03a3@X.GR'), ('emoji', E'\U0001f600@x.y'), ('word-null', 'NULL'), ('empty', ''),
    ('blank', E' \t'), ('quote', '"o''neil"@x.y'), ('long', repeat('a', 5000) || '@x.y'), ('two', 'a@b.c, d@e.f')
) as emails (id, email);

insert into customers (customer_id, phone, created_at, updated_at)
select 'phone-' || id, phone, '2018-01-05 12:00Z', '2018-10-27 12:00Z'
from (values
    ('bracket', '(+49) 30-123'), ('space', ' +1 (555) 010'), ('plus', '+'), ('brackets', E' ( \u00a0((+4'),
    ('none', '+(-)'), ('zeros', '0049-1'), ('arabic', E'\u0660\u0661\u0662'), ('arabic-mixed', E'+\u06634'),
    ('fullwidth', E'\uff11\uff123'), ('fullwidth-plus', E'\uff0b49'), ('dash', '-+1'), ('em-space', E'\u2003+7'),
    ('blanks', E'\t\n\u00a0(+7)'), ('inner', 'ext. 12+3'), ('square', '[+49]'), ('superscript', E'\u00b2\u00b35'),
    ('empty', ''), ('close', ')+49'), ('line', E'+1\n2'), ('minus', E'\u22121')
) as phones (id, phone);

insert into customers (customer_id, first_name, last_name, city, state, country, created_at, updated_at)
select 'name-' || id, first_name, last_name, city, state, country, '2018-01-05 12:00Z', '2018-10-27 12:00Z'
from (values
    ('both', ' Ada ', E'Love\u00a0\u00a0lace\t', E'  S\u00e3o  \t Paulo ', 'SP', 'Brazil'),
    ('first', E'Jean\nLuc', null, 'x', '', ' '), ('last', ' ', 'Curie', E'\u00a0', 'x', 'x'),
    ('none', null, E'\u00a0 ', null, null, null), ('null', 'NULL', 'NaN', E'\\N', 'NULL', 'NaN'),
    ('other-blanks', E'a\u2003b', E'\u200bc\u2028', E'x\u0085y', E'\u001fz\u001f', E'\ufefftail\u3000'),
    ('forms', E'\u00c9', E'E\u0301', E'\u00c9', E'E\u0301', E'\U0001f468\u200d\U0001f469\u200d\U0001f467'),
    ('scripts', E'\u674e', E'\u0627\u0644\u0639\u0631\u0628\u064a\u0629', E'\u05e9\u05dc\u05d5\u05dd', E'\U00020000',
    E'\u0e44\u0e17\u0e22'),
    ('markup', '<b>&amp;</b>', '${jndi:x}', '{"a": 1}', '%s %d', 'a,b;c|d'),
    ('million', 'x', 'y', repeat('x', 1000000), repeat(E'ab \t', 250000), repeat(E'\u00e9', 1000))
) as names (id, first_name, last_name, city, state, country);

-- Customers who buy.
insert into customers (customer_id, first_name, created_at, updated_at)
select id, id, '2018-01-05 12:00Z', '2018-10-27 12:00Z'
from unnest(array[
    'bg-0', 'bg-1', 'bg-2', 'bg-3', 'bg-4', 'rules', 'equal-times', 'zones', 'renumber', 'eons', 'giver-back', 'rich',
    'richer',
    'only-pending', 'only-returns', 'two-orders', 'campaigner', 'newcomer', 'one-line-too-many', 'movers'
]) as names (id);

-- products ----------------------------------------------------------------------------------------------------------

insert into products (product_id, product_name, category, brand, price, cost, is_active, created_at, updated_at)
select 'title-' || id, name, category, brand, 1, 0.5, null, '2018-01-05 12:00Z', '2018-10-27 12:00Z'
from (values
    ('plain', '  Blue   MUG ', 'hOME aND kITCHEN', 'ACME inc.'), ('missing', null, null, null),
    ('blank', E'\u00a0', E' \t', ' '), ('word', 'NULL', 'uncategorised', 'NaN'),
    ('sigma', E'\u039f\u0394\u039f\u03a3', E'\u039f\u0394\u039f\u03a3 \u0391\u03a3', E'\u03c3\u03c2'),
    ('sharp', E'\u00df', E'stra\u00dfe \u00dfETA', E'\u0149aB'), ('digraph', 'x', E'\u01c6UNGLA \u01c5x', E'\u01c4X'),
    ('dotted', 'x', E'\u0130STANBUL ISPARTA', E'\u0131\u0130X'),
    ('marks', 'x', 'mcDONALD''s o''NEIL-SMITH', '3d PRINTER'),
    ('forms', E'\u00e9', E'\u00e9CLAIR', E'e\u0301CLAIR'),
    ('astral', 'x', E'\U00010428\U00010400X', E'\U0001f600abc DEF'),
    ('ligature', 'x', E'\ufb01SH \ufb01', E'\u0390X'), ('em-space', 'x', E'a\u2003bC', E'x\t\u00a0yZ'),
    ('lines', E'a\nb\r\nc', E'a\u2028bC', E'\u0085aB'), ('quotes', E'6" \\ ''x''', '"DOG" food', E'\\N'),
    ('cherokee', 'x', E'\uab70\u13a1', E'\u10d0\u10d1')
) as titles (id, name, category, brand);

insert into products (product_id, product_name, category, price, cost, is_active, created_at, updated_at)
select 'margin-' || id, id, 'margins', price, cost, true, '2018-01-05 12:00Z', '2018-10-27 12:00Z'
from (values
    ('plain', 10, 6), ('price-zero', 0, 6), ('price-null', null, 6), ('cost-null', 10, null), ('cost-zero', 10, 0),
    ('half', 2, 1.7531), ('negative-half', 2, 2.2469), ('below-half', 99999999.9999, 5000), ('third', 3, 1),
    ('widest', 0.0001, 10.0000), ('too-wide', 0.0001, 10.0001), ('rounds-too-wide', 2, 200001.9999),
    ('rounds-within', 2, 200001.9998), ('negative-price', -0.0001, 1), ('negative-cost', 1, -0.0001),
    ('both-negative', -1, -1), ('nan-price', 'NaN', 1), ('nan-cost', 1, 'NaN'),
    ('largest', 99999999.9999, -99999999.9999)
) as margins (id, price, cost);

insert into products (product_id, product_name, price, cost, is_active, created_at, updated_at)
select id, name, 10, 6, is_active, '2018-01-05 12:00Z', updated_at::timestamptz
from (values
    (null, 'key null', true, '2018-10-27 12:00Z'), (' ', 'key blank', true, '2018-10-27 12:00Z'),
    (repeat('k', 1000), '1000 bytes', true, '2018-10-27 12:00Z'),
    (repeat('k', 1001), '1001 bytes', true, '2018-10-27 12:00Z'),
    ('85123a', 'lower', true, '2018-10-27 12:00Z'), ('85123A', 'upper', false, '2018-10-27 12:00Z'),
    ('million', repeat('x', 1000000), true, '2018-10-27 12:00Z'),
    ('std', 'standard', true, '2018-10-27 12:00Z'), ('std-2', 'standard', true, '2018-10-27 12:00Z'),
    ('dated', 'sold on odd days', true, '2018-10-27 12:00Z'), ('costed', 'costs known', true, '2018-10-27 12:00Z'),
    ('half-costed', 'one cost unknown', true, '2018-10-27 12:00Z'),
    ('priceless', 'huge sums', true, '2018-10-27 12:00Z'),
    ('priceless-2', 'just within', true, '2018-10-27 12:00Z'), ('priceless-3', 'huge costs', true, '2018-10-27 12:00Z'),
    ('priceless-4', 'costs just within', true, '2018-10-27 12:00Z'),
    ('extreme', 'int bounds', true, '2018-10-27 12:00Z'),
    ('returned-only', 'only returns', true, '2018-10-27 12:00Z'),
    ('pending-only', 'never a sale', true, '2018-10-27 12:00Z'),
    ('mover', 'lines move', true, '2018-10-27 12:00Z'), ('campaigned', 'in campaigns', true, '2018-10-27 12:00Z'),
    ('bg-0', 'background', true, '2018-10-27 12:00Z'), ('bg-1', 'background', true, '2018-10-27 12:00Z'),
    ('bg-2', 'background', false, '2018-10-27 12:00Z'), ('bg-3', 'background', null, '2018-10-27 12:00Z'),
    ('stock-edge', '30 days', true, '2018-10-27 12:00Z'), ('stock-one', 'one sold', true, '2018-10-27 12:00Z'),
    ('stock-million', 'a million sold', true, '2018-10-27 12:00Z'), ('stock-64', '64 sold', true, '2018-10-27 12:00Z'),
    ('stock-back', 'more back than sold', true, '2018-10-27 12:00Z'),
    ('stock-none', 'none sold', true, '2018-10-27 12:00Z'),
    -- and what later days change (day2.sql to day4.sql)
    ('edited-badly', 'good', true, '2018-10-27 12:00Z'), ('edited-badly-for-good', 'good', true, '2018-10-27 12:00Z'),
    ('late-older', 'newer', true, '2018-10-27 21:00Z'), ('late-newer', 'older', true, '2018-10-27 12:00Z'),
    ('late-tie', 'lower', true, '2018-10-27 20:00Z'), ('late-invalid', 'good', true, '2018-10-27 21:00Z')
) as named (id, name, is_active, updated_at);

insert into products (product_id, product_name, category, brand, price, cost, created_at, updated_at)
values
('million-texts', 'x', repeat('aB ', 333333), repeat(E'\u00dfX', 500000), 1, 1, '2018-01-05 12:00Z',
    '2018-10-27 12:00Z'),
('made-infinite', 'x', 'x', 'x', 1, 1, '-infinity', '2018-10-27 12:00Z'),
('stamped-bc', 'x', 'x', 'x', -1, 1, '2018-01-05 12:00Z', '0001-12-31 12:00Z BC'),
('bad-then-good', 'bad', 'x', 'x', -1, 1, '2018-01-05 12:00Z', '2018-10-27 12:00Z'),
('same-time', 'good', 'x', 'x', 1, 1, '2018-01-05 12:00Z', '2018-10-27 12:00Z'),
('same-time', 'bad', 'x', 'x', -1, 1, '2018-01-05 12:00Z', '2018-10-27 12:00Z'),
('older-bad', 'good', 'x', 'x', 1, 1, '2018-01-05 12:00Z', '2018-10-27 12:00Z'),
('OLDER-BAD', 'bad', 'x', 'x', 1, -1, '2018-01-05 12:00Z', '2018-10-27 11:59:59.999999Z'),
('newer-bad', 'good', 'x', 'x', 1, 1, '2018-01-05 12:00Z', '2018-10-27 12:00Z'),
('newer-bad', 'bad', 'x', 'x', 1, -1, '2018-01-05 12:00Z', '2018-10-27 12:00:00.000001Z'),
('only-bad', 'bad', 'x', 'x', 1, -1, '2018-01-05 12:00Z', '2018-10-27 11:00Z'),
('only-bad', 'bad', 'x', 'x', -1, -1, '2018-01-05 12:00Z', '2018-10-27 12:00Z'),
('only-bad', 'bad', 'x', 'x', -1, -1, '2018-01-05 12:00Z', '2018-10-27 12:00Z');

-- campaigns ---------------------------------------------------------------------------------------------------------

insert into campaigns (campaign_id, campaign_name, channel, start_date, end_date, budget, created_at, updated_at)
select id, name, channel, start_date::date, end_date::date, budget, '2018-01-05 12:00Z', '2018-10-27 12:00Z'
from (values
    ('1.0', E' Spring\tSale ', ' E-Mail  Blast ', '2018-01-01', '2018-12-31', 1000),
    ('ch-null', null, null, null, null, null), ('ch-blank', ' ', E'\u00a0\t', '2018-01-01', null, 0),
    ('ch-blanks', 'x', E'In\u00a0Store\nRadio', null, '2018-01-01', 0.01),
    ('ch-em-space', 'x', E'a\u2003B', null, null, 1),
    ('ch-unicode', 'x', E'\u0130 \u039f\u0394\u039f\u03a3 \u212a', null, null, 1),
    ('ch-under', 'x', 'TV_ _Ad', null, null, 1),
    ('day-equal', 'x', 'tv', '2018-10-20', '2018-10-20', 1), ('day-first', 'x', 'tv', '0001-01-01', '9999-12-31', 1),
    ('day-julian', 'x', 'tv', '1500-02-28', '1582-10-10', 1), ('day-before', 'x', 'tv', '2018-10-20', '2018-10-19', 1),
    ('day-infinite', 'x', 'tv', '-infinity', 'infinity', 1), ('day-bc', 'x', 'tv', '0044-03-15 BC', '2018-01-01', 1),
    ('day-10000', 'x', 'tv', '2018-01-01', '10000-01-01', 1),
    ('day-bc-before', 'x', 'tv', '2018-01-01', '0044-03-15 BC', 1),
    ('budget-negative', 'x', 'tv', null, null, -0.01), ('budget-nan', 'x', 'tv', null, null, 'NaN'),
    ('both-bad', 'x', 'tv', '2018-10-20', '2018-10-19', -1), (null, 'key null', 'tv', null, null, 1),
    ('', 'key empty', 'tv', null, null, -1), (repeat('c', 1001), 'too long', 'tv', null, null, 1),
    ('unknown', 'a name like any other', 'tv', null, null, 1), ('half', 'x', 'tv', null, null, 2),
    ('negative-half', 'x', 'tv', null, null, 2), ('below-half', 'x', 'tv', null, null, 999999999999.99),
    ('too-good', 'x', 'tv', null, null, 0.01), ('just-fits', 'x', 'tv', null, null, 0.11),
    ('no-budget', 'x', 'tv', null, null, 0), ('budget-unknown', 'x', 'tv', null, null, null),
    ('returns-only', 'x', 'tv', null, null, 10), ('pending-only', 'x', 'tv', null, null, 10),
    ('cost-unknown', 'x', 'tv', null, null, 10), ('cost-known', 'x', 'tv', null, null, 3),
    ('nothing', 'x', 'tv', null, null, 10),
    ('no-lines', 'x', 'tv', null, null, 10), ('news', 'x', 'tv', null, null, 7), ('guests', 'x', 'tv', null, null, 7),
    ('bg-0', 'x', 'tv', null, null, 100), ('bg-1', 'x', 'radio', null, null, 300)
) as named (id, name, channel, start_date, end_date, budget);

insert into campaigns (campaign_id, campaign_name, budget, created_at, updated_at)
values
('1', 'other spelling, older', 5, '2018-01-05 12:00Z', '2018-10-26 12:00Z'),
('born-10000', 'x', 5, '10000-01-02 12:00Z', '2018-10-27 12:00Z'),
('outside-null', 'x', 5, '2018-01-05 12:00Z', null);

-- inventory ---------------------------------------------------------------------------------------------------------

insert into inventory
select product_id, warehouse_id, on_hand, reserved, reorder, '2018-01-05 12:00Z', updated_at::timestamptz
from (values
    ('std', 'w-healthy', 100, 10, 5, '2018-10-27 12:00Z'), ('std', 'w-zero', 10, 10, 5, '2018-10-27 12:00Z'),
    ('std', 'w-below-zero', 5, 10, null, '2018-10-27 12:00Z'), ('std', 'w-low', 20, 10, 10, '2018-10-27 12:00Z'),
    ('std', 'w-not-low', 21, 10, 10, '2018-10-27 12:00Z'), ('std', 'w-negative-reorder', 1, 0, -5, '2018-10-27 12:00Z'),
    ('std', 'w-no-reorder', 1, 0, null, '2018-10-27 12:00Z'),
    ('std', 'w-on-hand-null', null, 0, 5, '2018-10-27 12:00Z'),
    ('std', 'w-reserved-null', 5, null, 5, '2018-10-27 12:00Z'),
    ('std', 'w-all-null', null, null, null, '2018-10-27 12:00Z'),
    ('std', 'w-extreme', 2147483647, -2147483648, 2147483647, '2018-10-27 12:00Z'),
    ('std', 'w-extreme-below', -2147483648, 2147483647, -2147483648, '2018-10-27 12:00Z'),
    ('nobody-knows', 'w', 10, 1, 2, '2018-10-27 12:00Z'), ('margin-cost-null', 'w', 10, 1, 2, '2018-10-27 12:00Z'),
    ('margin-half', 'w', 3, 0, 0, '2018-10-27 12:00Z'), ('only-bad', 'w', 3, 0, 0, '2018-10-27 12:00Z'),
    ('stock-one', 'w-180', 6, 0, 5, '2018-10-27 12:00Z'), ('stock-one', 'w-210', 7, 0, 5, '2018-10-27 12:00Z'),
    ('stock-one', 'w-low-first', 7, 0, 7, '2018-10-27 12:00Z'),
    ('stock-one', 'w-no-reorder', 7, 0, null, '2018-10-27 12:00Z'),
    ('stock-million', 'w-180', 6000000, 0, 1, '2018-10-27 12:00Z'),
    ('stock-million', 'w-just-over', 6000001, 0, 1, '2018-10-27 12:00Z'),
    ('stock-64', 'w-half', 3, 0, 0, '2018-10-27 12:00Z'), ('stock-64', 'w-negative-half', 0, 3, 0, '2018-10-27 12:00Z'),
    ('stock-back', 'w', 1000, 0, 0, '2018-10-27 12:00Z'), ('stock-none', 'w', 1000, 0, 0, '2018-10-27 12:00Z'),
    ('stock-edge', 'w', 10, 0, 0, '2018-10-27 12:00Z'), ('dated', 'w', 10, 0, 0, '2018-10-27 12:00Z'),
    ('margin-below-half', 'w', 2147483647, 0, 0, '2018-10-27 12:00Z'),
    ('margin-widest', 'w', 2147483647, 1, 0, '2018-10-27 12:00Z'),
    ('margin-rounds-within', 'w', 2147483647, 1, 0, '2018-10-27 12:00Z'),
    -- keys in part; spellings; ties by product as written, then warehouse as written
    ('std', null, 1, 1, 1, '2018-10-27 12:00Z'), (null, 'w', 1, 1, 1, '2018-10-27 12:00Z'),
    (null, null, 1, 1, 1, '2018-10-27 12:00Z'),
    (' ', 'w', 1, 1, 1, '2018-10-27 12:00Z'), ('std', repeat('w', 1001), 1, 1, 1, '2018-10-27 12:00Z'),
    (repeat('p', 1001), null, 1, 1, 1, '2018-10-27 12:00Z'),
    (repeat('p', 1000), repeat('w', 1000), 1, 0, 0, '2018-10-27 12:00Z'),
    ('tie', 'A', 1, 0, 0, '2018-10-27 12:00Z'), ('TIE', 'a', 2, 0, 0, '2018-10-27 12:00Z'),
    (E'tie-2\t', 'A', 1, 0, 0, '2018-10-27 12:00Z'), ('tie-2', 'a', 2, 0, 0, '2018-10-27 12:00Z'),
    ('17850.0', '1.0', 1, 0, 0, '2018-10-27 12:00Z'), ('17850', '1', 2, 0, 0, '2018-10-27 12:00:00.000001Z'),
    ('unknown', 'unknown', 4, 0, 0, '2018-10-27 12:00Z')
) as stock (product_id, warehouse_id, on_hand, reserved, reorder, updated_at);

-- orders ------------------------------------------------------------------------------------------------------------

insert into orders
select id, 'rules', null, status, '2018-10-20 12:00Z', '2018-10-20 12:00Z', '2018-10-27 12:00Z'
from (values
    ('status-pending', 'pending'), ('status-paid', E' PAID\t'), ('status-shipped', 'Shipped'),
    ('status-delivered', 'delivered'),
    ('status-complete', ' Complete '), ('status-completed', 'COMPLETED'), ('status-canceled', 'canceled'),
    ('status-cancelled', 'Cancelled'), ('status-refunded', E'Refunded\u00a0'), ('status-returned', 'returned'),
    ('status-null', null), ('status-empty', ''), ('status-two-words', 'on hold'), ('status-mark', 'paid!'),
    ('status-long-s', E'\u017fhipped'), ('status-em-space', E'paid\u2003'), ('status-line-separator', E'paid\u2028'),
    ('status-word', 'NULL')
) as statuses (id, status);

insert into orders
select id, customer, campaign, 'paid', '2018-10-20 12:00Z', '2018-10-20 12:00Z', '2018-10-27 12:00Z'
from (values
    ('ref-guest-null', null, null), ('ref-guest-unknown', 'UNKNOWN', ' '), ('ref-guest-words', E' unKnown\u00a0', ''),
    ('ref-guest-blank', E' \t', null), ('ref-unknown-0', 'unknown.0', null), ('ref-float', '17850.0', '1'),
    ('ref-plain', '17850', '1.0'), ('ref-sharp', E'Stra\u00dfe', null), ('ref-null-word', 'Null', null),
    ('ref-customer-missing', 'nobody', null), ('ref-outside', 'outside-infinite', null),
    ('ref-invalid', 'born-infinite', null),
    ('ref-too-long', repeat(E'\u00e9', 500) || 'x', null), ('ref-thousand', repeat(E'\u00c9', 500), null),
    ('ref-campaign-missing', 'rules', 'no such'), ('ref-campaign-invalid', 'rules', 'budget-negative'),
    ('ref-both-missing', 'nobody', 'no such'), ('ref-campaign-unknown', 'rules', 'Unknown'),
    ('ref-form', E'E\u0301', null), ('ref-us', E'us\u001fkey', null), ('ref-arabic', E'\u0661', null)
) as refs (id, customer, campaign);

insert into orders (order_id, customer_id, status, ordered_at, created_at, updated_at)
select id, 'rules', 'paid', ordered_at::timestamptz, created_at::timestamptz, updated_at::timestamptz
from (values
    ('at-null', null, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('at-infinite', 'infinity', '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('at-minus-infinite', '-infinity', '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('at-bc', '0044-03-15 12:00Z BC', '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('at-10000', '10000-01-02 12:00Z', '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('made-infinite', '2018-10-20 12:00Z', 'infinity', '2018-10-27 12:00Z'),
    ('made-null', '2018-10-20 12:00Z', null, '2018-10-27 12:00Z'),
    ('made-0001', '2018-10-20 12:00Z', '0001-01-02 12:00Z', '2018-10-27 12:00Z'),
    ('made-9999', '2018-10-20 12:00Z', '9999-12-30 12:00Z', '2018-10-27 12:00Z'),
    ('made-1582', '2018-10-20 12:00Z', '1582-10-10 12:00Z', '2018-10-27 12:00Z'),
    ('stamped-bc', '2018-10-20 12:00Z', '2018-10-20 12:00Z', '0044-03-15 12:00Z BC'),
    ('stamped-null', '2018-10-20 12:00Z', '2018-10-20 12:00Z', null),
    ('stamped-infinite', '2018-10-20 12:00Z', '2018-10-20 12:00Z', 'infinity'),
    (null, '2018-10-20 12:00Z', '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    (E'\u00a0', null, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    (repeat('o', 1001), '2018-10-20 12:00Z', '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    (repeat('o', 1000), '2018-10-20 12:00Z', '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('536365.0', '2018-10-20 12:00Z', '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('536365', '2018-10-21 12:00Z', '2018-10-21 12:00Z', '2018-10-27 12:00Z'),
    -- made on one day at one moment, so the older partition's row must go when created_at changes
    ('moves', '2018-10-20 12:00Z', '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('Moves', '2018-10-20 12:00Z', '2018-10-19 12:00Z', '2018-10-26 12:00Z')
) as times (id, ordered_at, created_at, updated_at);

-- Several things wrong at once: every reason that holds is named.
insert into orders
values
(null, 'nobody', 'no such', 'lost', 'infinity', '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
('all-wrong', 'nobody', 'no such', null, null, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
('unseen', 'rules', null, 'paid', '2018-06-01 12:00Z', '2018-06-01 12:00Z', '2018-06-01 12:00Z');

-- Equal moments are told apart by order_id in byte order, after the rule: A, Z, E acute, fullwidth Z, emoji.
insert into orders
select id, 'equal-times', null, 'paid', '2018-10-20 12:00Z', '2018-10-20 12:00Z', '2018-10-27 12:00Z'
from unnest(array['eq-a', 'eq-Z', E'eq-\u00e9', E'eq-\uff5a', E'eq-\U0001f600', 'eq-10', 'eq-9']) as ids (id);

-- Nights: what day it is depends on the zone and on its clock.
insert into orders
select 'night-' || id, 'zones', null, 'delivered', at::timestamptz, at::timestamptz, '2018-10-27 12:00Z'
from (values
    ('berlin-last-second', '2018-10-27 21:59:59.999999Z'), ('berlin-midnight', '2018-10-27 22:00Z'),
    ('berlin-first-two', '2018-10-28 00:30Z'), ('berlin-second-two', '2018-10-28 01:30Z'),
    ('berlin-long-day', '2018-10-28 22:59:59.999999Z'), ('berlin-next-day', '2018-10-28 23:00Z'),
    ('berlin-spring', '2018-03-25 01:00Z'), ('berlin-spring-end', '2018-03-25 22:00Z'),
    ('sao-paulo-before-gap', '2018-11-04 02:59:59.999999Z'), ('sao-paulo-gap', '2018-11-04 03:00Z'),
    ('sao-paulo-short-day', '2018-11-05 01:59:59.999999Z'), ('sao-paulo-next-day', '2018-11-05 02:00Z'),
    ('sao-paulo-first-eleven', '2018-02-18 01:30Z'), ('sao-paulo-second-eleven', '2018-02-18 02:30Z'),
    ('sao-paulo-february', '2018-02-18 03:00Z'), ('1890', '1890-01-01 03:03Z'), ('1893', '1893-03-31 23:10Z')
) as nights (id, at);

insert into orders
select 'eon-' || id, 'eons', null, 'shipped', at::timestamptz, '2018-10-20 12:00Z', '2018-10-27 12:00Z'
from (values ('0001', '0001-01-02 12:00Z'), ('1582', '1582-10-10 12:00Z'), ('2018', '2018-10-20 12:00Z'),
('9999', '9999-12-30 12:00Z')) as eons (id, at);

insert into orders
select id, customer, campaign, status, ordered_at::timestamptz, ordered_at::timestamptz, '2018-10-27 12:00Z'
from (values
    ('no-lines', 'giver-back', 'no-lines', 'paid', '2018-10-18 12:00Z'),
    ('only-back', 'giver-back', null, 'delivered', '2018-10-19 12:00Z'),
    ('mixed', 'giver-back', null, 'paid', '2018-10-20 12:00Z'),
    ('returned-positive', 'giver-back', null, 'returned', '2018-10-21 12:00Z'),
    ('returned-negative', 'only-returns', 'returns-only', 'returned', '2018-10-20 12:00Z'),
    ('pending-lines', 'only-pending', 'pending-only', 'pending', '2018-10-20 12:00Z'),
    ('cancelled-lines', 'only-pending', 'pending-only', 'cancelled', '2018-10-20 12:00Z'),
    ('two-1', 'two-orders', null, 'paid', '2018-10-10 12:00Z'),
    ('two-2', 'two-orders', null, 'paid', '2018-10-20 12:00Z'),
    ('two-3-guest', null, 'guests', 'paid', '2018-10-20 12:00Z'),
    ('two-4-guest', 'unknown', 'guests', 'paid', '2018-10-21 12:00Z'),
    ('rich-1', 'rich', null, 'paid', '2018-10-20 12:00Z'),
    ('rich-2', 'one-line-too-many', null, 'paid', '2018-10-21 12:00Z'),
    ('rich-3', 'richer', null, 'paid', '2018-10-20 12:00Z'), ('rich-4', 'richer', null, 'paid', '2018-10-20 12:00Z'),
    ('extreme', 'rules', null, 'paid', '2018-10-20 12:00Z'), ('lines', 'rules', null, 'paid', '2018-10-20 12:00Z'),
    ('costs', 'rules', null, 'paid', '2018-10-20 12:00Z'), ('costs-2', 'rules', null, 'paid', '2018-10-20 15:00Z'),
    ('stock', 'rules', null, 'paid', '2018-10-20 12:00Z'),
    ('day-0905', 'rules', null, 'paid', '2018-09-05 12:00Z'), ('day-0927', 'rules', null, 'paid', '2018-09-27 12:00Z'),
    ('day-0928', 'rules', null, 'paid', '2018-09-28 12:00Z'), ('day-0929', 'rules', null, 'paid', '2018-09-29 12:00Z'),
    ('day-1004', 'rules', null, 'paid', '2018-10-04 12:00Z'), ('day-1005', 'rules', null, 'paid', '2018-10-05 12:00Z'),
    ('day-1006', 'rules', null, 'paid', '2018-10-06 12:00Z'), ('day-1027', 'rules', null, 'paid', '2018-10-27 12:00Z'),
    ('day-1028', 'rules', null, 'paid', '2018-10-28 12:00Z'), ('day-1103', 'rules', null, 'paid', '2018-11-03 12:00Z'),
    ('day-1104', 'rules', null, 'paid', '2018-11-04 12:00Z'), ('day-1105', 'rules', null, 'paid', '2018-11-05 12:00Z'),
    ('camp-half', 'campaigner', 'half', 'paid', '2018-10-20 12:00Z'),
    ('camp-half-2', 'campaigner', 'half', 'paid', '2018-10-20 12:00Z'),
    ('camp-negative-half', 'campaigner', 'negative-half', 'paid', '2018-10-20 12:00Z'),
    ('camp-below-half', 'campaigner', 'below-half', 'paid', '2018-10-20 12:00Z'),
    ('camp-too-good', 'campaigner', 'too-good', 'paid', '2018-10-20 12:00Z'),
    ('camp-just-fits', 'campaigner', 'just-fits', 'paid', '2018-10-20 12:00Z'),
    ('camp-no-budget', 'campaigner', 'no-budget', 'paid', '2018-10-20 12:00Z'),
    ('camp-budget-unknown', 'campaigner', 'budget-unknown', 'paid', '2018-10-20 12:00Z'),
    ('camp-cost-unknown', 'campaigner', 'cost-unknown', 'paid', '2018-10-20 12:00Z'),
    ('camp-cost-known', 'campaigner', 'cost-known', 'paid', '2018-10-20 12:00Z'),
    ('camp-old', 'newcomer', null, 'paid', '2018-10-10 12:00Z'),
    ('camp-news', 'newcomer', 'news', 'paid', '2018-10-20 12:00Z'),
    ('camp-news-first', 'movers', 'news', 'paid', '2018-10-01 12:00Z'),
    ('camp-news-second', 'movers', 'news', 'paid', '2018-10-02 12:00Z'),
    ('re-1', 'renumber', null, 'paid', '2018-10-10 12:00Z'), ('re-2', 'renumber', null, 'pending', '2018-10-12 12:00Z'),
    ('re-3', 'renumber', null, 'paid', '2018-10-15 12:00Z'), ('re-4', 'renumber', null, 'paid', '2018-10-20 12:00Z'),
    ('move-from', 'movers', null, 'paid', '2018-10-20 12:00Z'),
    ('move-to', 'movers', null, 'paid', '2018-10-21 12:00Z'),
    -- whose parents come later
    ('waits-for-customer', 'comes-on-day-3', null, 'paid', '2018-10-20 12:00Z'),
    ('waits-for-campaign', 'rules', 'comes-on-day-4', 'paid', '2018-10-20 12:00Z'),
    ('waits-for-both', 'comes-on-day-2', 'comes-on-day-3', 'paid', '2018-10-20 12:00Z')
) as named (id, customer, campaign, status, ordered_at);

-- order_items -------------------------------------------------------------------------------------------------------

-- One line rule each, all in order `lines`.
insert into order_items
select 'line-' || id, 'lines', 'std', quantity, unit_price, discount, unit_cost, '2018-10-20 12:00Z',
    '2018-10-27 12:00Z'
from (values
    ('plain', 3, 2.5, 1.25, 1), ('discount-null', 2, 2.5, null, 1), ('price-zero', 2, 0, 0, 1),
    ('cost-null', 2, 1, 0, null),
    ('cost-zero', 2, 1, 0, 0), ('back', -2, 10, 3, 1), ('back-no-discount', -1, 10, null, 1),
    ('discount-all', 2, 5, 10, 1),
    ('back-discount-all', -2, 5, 10, 1), ('smallest', 1, 0.0001, 0.0001, 0.0001),
    ('quantity-null', null, 1, 0, 1), ('quantity-zero', 0, 1, 0, 1), ('quantity-zero-discount', 0, 1, 1, 1),
    ('price-null', 1, null, 5, 1),
    ('price-negative', 1, -0.0001, 0, 1), ('price-negative-discount', 2, -5, 10, 1),
    ('price-negative-exceeds', 2, -5, 10.0001, 1),
    ('cost-negative', 1, 1, 0, -0.0001), ('discount-negative', 1, 1, -0.0001, 1),
    ('discount-exceeds', 2, 5, 10.0001, 1),
    ('back-discount-exceeds', -2, 5, 10.0001, 1), ('all-wrong', null, null, -1, -1), ('nan-price', 1, 'NaN', 0, 1),
    ('nan-discount', 1, 1, 'NaN', 1), ('nan-cost', 1, 1, 0, 'NaN'), ('nan-all', 0, 'NaN', 'NaN', 'NaN'),
    ('gross-at-range', 1000000, 10000000, 0, null), ('gross-negative-range', -1000000, 10000000, 0, null),
    ('gross-negative-price', 1000000, -10000000, 0, null), ('gross-largest', 2147483647, 99999999.9999, 0, 1),
    ('gross-lowest', -2147483648, 99999999.9999, 99999999.9999, 1)
) as lines (id, quantity, unit_price, discount, unit_cost);

insert into order_items
select id, order_id, product_id, quantity, 1, 0, 1, created_at::timestamptz, updated_at::timestamptz
from (values
    (null, 'lines', 'std', 1, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    (E'\t', 'lines', 'std', 1, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    (repeat('i', 1001), 'lines', 'std', 1, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    (repeat('i', 1000), 'lines', 'std', 1, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('ref-order-null', null, 'std', 1, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('ref-order-blank', ' ', 'std', 1, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('ref-order-missing', 'no such', 'std', 1, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('ref-product-null', 'lines', null, 1, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('ref-product-missing', 'lines', 'no such', 1, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('ref-both-missing', 'no such', 'no such', 0, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('ref-product-invalid', 'lines', 'bad-then-good', 4, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('ref-product-only-bad', 'lines', 'only-bad', 1, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('ref-order-invalid', 'status-null', 'std', 1, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('ref-spelling', E' LINES\n', ' 85123a', 2, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('ref-spelling-2', 'Lines', '85123A', 3, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('ref-float', '536365.0', repeat('K', 1000), 1, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('line-made-infinite', 'lines', 'std', 1, 'infinity', '2018-10-27 12:00Z'),
    ('line-stamped-bc', 'lines', 'std', 1, '2018-10-20 12:00Z', '0044-03-15 12:00Z BC'),
    ('line-stamped-null', 'lines', 'std', 1, '2018-10-20 12:00Z', null),
    ('line-made-0001', 'lines', 'std', 1, '0001-01-02 12:00Z', '2018-10-27 12:00Z'),
    ('line-made-null', 'lines', 'std', 1, null, '2018-10-27 12:00Z'),
    ('waits-line-1', 'waits-for-customer', 'std', 5, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('waits-line-2', 'waits-for-campaign', 'std', 6, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('waits-line-3', 'waits-for-both', 'std', 7, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('waits-line-4', 'comes-on-day-2', 'std', 8, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('waits-line-5', 'comes-on-day-2', 'comes-on-day-3', 9, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('edited-line', 'lines', 'std', 2, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('twin', 'lines', 'std', 1, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('twin', 'lines', 'std', 1, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('twin-bad', 'lines', 'std', 0, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('twin-bad', 'lines', 'std', 0, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('1.0', 'lines', 'std', 1, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
    ('1', 'lines', 'std', 2, '2018-10-20 12:00Z', '2018-10-27 12:00Z')
) as lines (id, order_id, product_id, quantity, created_at, updated_at);

-- Sums: what fits numeric(18, 4) and what does not. 9,999,999,999,999.9999 is the greatest gross a line can have: ten
-- such lines fit, eleven do not. A line's cost has no such bound.
insert into order_items
select
    order_id || '-' || n, order_id, product_id, quantity, unit_price, discount, unit_cost, '2018-10-20 12:00Z',
    '2018-10-27 12:00Z'
from (values
    ('rich-1', 11, 'priceless', 18645507, 536322.2357, 0, null),
    ('rich-2', 10, 'priceless-2', 18645507, 536322.2357, null, null),
    ('rich-3', 1, 'priceless-3', 1100000, 0.01, 0, 99999999.9999),
    ('rich-4', 1, 'priceless-4', 1000000, 0.01, 0, 99999999.9999)
) as sums (order_id, lines, product_id, quantity, unit_price, discount, unit_cost), generate_series(1, lines) as n;

insert into order_items
select id, order_id, product_id, quantity, unit_price, discount, unit_cost, '2018-10-20 12:00Z', '2018-10-27 12:00Z'
from (values
    ('extreme-1', 'extreme', 'extreme', 2147483647, 0.01, 0, 0),
    ('extreme-2', 'extreme', 'extreme', 2147483647, 0, 0, 0),
    ('extreme-3', 'extreme', 'extreme', -2147483648, 0.01, 1, 0),
    ('extreme-4', 'extreme', 'extreme', -2147483648, 0, 0, 0),
    ('extreme-5', 'extreme', 'extreme', -2147483648, 0, 0, 0),
    ('back-1', 'only-back', 'returned-only', -2, 10, 3, 4), ('mixed-1', 'mixed', 'std-2', 5, 10, 2.5, 4),
    ('mixed-2', 'mixed', 'std-2', -1, 10, 0.5, 4),
    ('mixed-3', 'mixed', 'returned-only', -1, 8, null, null), ('returned-1', 'returned-positive', 'std-2', 2, 10, 0, 4),
    ('returned-2', 'returned-negative', 'std-2', -3, 10, 6, 4),
    ('pending-1', 'pending-lines', 'pending-only', 9, 10, 0, 4),
    ('cancelled-1', 'cancelled-lines', 'pending-only', -4, 10, 1, 4),
    ('paid-status', 'status-paid', 'std-2', 1, 10, 0, 4),
    ('shipped-status', 'status-shipped', 'std-2', 1, 10, 0, 4),
    ('complete-status', 'status-complete', 'std-2', 1, 10, 0, 4),
    ('canceled-status', 'status-canceled', 'std-2', 1, 10, 0, 4),
    ('refunded-status', 'status-refunded', 'std-2', 1, 10, 0, 4),
    ('two-1', 'two-1', 'std-2', 1, 10, 0, 4), ('two-2', 'two-2', 'std-2', 1, 10, 0, 4),
    ('two-3', 'two-3-guest', 'std-2', 1, 10, 0, 4),
    ('two-4', 'two-4-guest', 'std-2', 1, 10, 0, 4), ('guest-1', 'ref-guest-null', 'std-2', 1, 7, 0, 4),
    ('guest-2', 'ref-guest-words', 'std-2', 1, 7, 0, 4),
    ('float-1', 'ref-float', 'std-2', 1, 7, 0, 4), ('float-2', 'ref-plain', 'std-2', 1, 7, 0, 4),
    ('sharp-1', 'ref-sharp', 'std-2', 1, 7, 0, 4),
    ('cost-1', 'costs', 'costed', 2, 10, 0, 4), ('cost-2', 'costs-2', 'costed', -1, 10, 0, 4),
    ('cost-3', 'costs', 'half-costed', 2, 10, 0, 4),
    ('cost-4', 'costs-2', 'half-costed', -1, 10, 0, null), ('cost-5', 'costs', 'costed', 1, 10, 0, 3.3333),
    ('camp-1', 'camp-half', 'campaigned', 1, 0.2468, 0, 0), ('camp-2', 'camp-half-2', 'campaigned', 1, 0.0001, 0, 0),
    ('camp-3', 'camp-negative-half', 'campaigned', 1, 1, 0, 0),
    ('camp-4', 'camp-negative-half', 'campaigned', -1, 1.2469, 0, 0),
    ('camp-5', 'camp-below-half', 'campaigned', 99, 99999999.9999, 0, 0),
    ('camp-6', 'camp-below-half', 'campaigned', 1, 50000000.0098, 0, 0),
    ('camp-7', 'camp-too-good', 'campaigned', 18645507, 536322.2357, 0, 0),
    ('camp-8', 'camp-just-fits', 'campaigned', 18645507, 536322.2357, 0, 0),
    ('camp-9', 'camp-no-budget', 'campaigned', 1, 3, 1, 1),
    ('camp-10', 'camp-budget-unknown', 'campaigned', 1, 3, 1, 1),
    ('camp-11', 'camp-cost-unknown', 'campaigned', 1, 3, 1, null),
    ('camp-12', 'camp-cost-unknown', 'campaigned', 1, 3, 1, 1),
    ('camp-13', 'camp-cost-known', 'campaigned', 1, 2, 0, 1), ('camp-14', 'camp-old', 'campaigned', 1, 2, 0, 1),
    ('camp-15', 'camp-news', 'campaigned', 1, 2, 0, 1),
    ('camp-16', 'camp-news-first', 'campaigned', 1, 2, 0, 1), ('camp-17', 'camp-news-second', 'campaigned', 2, 2, 1, 1),
    ('re-1', 're-1', 'std-2', 1, 1, 0, 1), ('re-2', 're-2', 'std-2', 1, 1, 0, 1), ('re-3', 're-3', 'std-2', 1, 1, 0, 1),
    ('re-4', 're-4', 'std-2', 1, 1, 0, 1),
    ('moving', 'move-from', 'mover', 2, 5, 0, 1), ('staying', 'move-from', 'mover', 1, 5, 0, 1),
    ('moves-1', 'moves', 'mover', 1, 5, 0, 1),
    ('stock-1', 'stock', 'stock-one', 1, 1, 0, 1), ('stock-2', 'stock', 'stock-million', 1000000, 1, 0, 1),
    ('stock-3', 'stock', 'stock-64', 64, 1, 0, 1),
    ('stock-4', 'stock', 'stock-back', 2, 1, 0, 1), ('stock-5', 'stock', 'stock-back', -3, 1, 0, 1)
) as lines (id, order_id, product_id, quantity, unit_price, discount, unit_cost);

-- A line for each night, eon and equal moment; powers of two tell the days of the 30-day window apart.
insert into order_items
select 'of-' || order_id, order_id, 'dated', 1, 1, 0, 1, '2018-10-20 12:00Z', '2018-10-27 12:00Z'
from orders where order_id like any (array['night-%', 'eon-%', 'eq-%', 'made-%']);
insert into order_items
select 'of-' || order_id, order_id, 'stock-edge', 2 ^ (row_number() over (order by order_id collate "C") - 1), 1, 0, 1,
    '2018-10-20 12:00Z', '2018-10-27 12:00Z'
from orders where order_id like 'day-%';

-- Background: everyday orders at all hours.
insert into orders
select
    'bg-' || n, case when n % 7 <> 0 then 'bg-' || n % 5 end, case when n % 3 = 0 then 'bg-' || n % 2 end,
    (array['paid', 'shipped', 'delivered', 'pending', 'delivered', 'cancelled', 'returned', 'paid'])[1 + n % 8],
    timestamptz '2018-09-20 00:30Z' + n * interval '13 hours 7 minutes',
    timestamptz '2018-09-20 00:30Z' + n * interval '13 hours 7 minutes',
    '2018-10-27 06:00Z'
from generate_series(1, 60) as n;

insert into order_items
select
    'bg-' || n || '-' || line, 'bg-' || n, 'bg-' || (n + line) % 4,
    case when (n + line) % 6 = 0 then -1 else 1 + n * line % 4 end,
    1 + n % 9 + 0.0001 * line, case when n % 4 = 0 then 0.5 end, case when n % 10 <> 0 then 0.75 end,
    timestamptz '2018-09-20 00:30Z' + n * interval '13 hours 7 minutes', '2018-10-27 06:00Z'
from generate_series(1, 60) as n, generate_series(1, 2) as line;
