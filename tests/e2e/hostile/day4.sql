-- Day 4 (business date 2018-11-04, a day of 23 hours in Sao Paulo that begins at 01:00).
-- Late: stamped before the end of day 3 in both zones (2018-11-03 23:00Z in Berlin) but written only now.

insert into customers (customer_id, first_name, created_at, updated_at)
values
('comes-on-day-4', 'Day', '2018-11-04 12:00Z', '2018-11-04 12:00Z'),
('nobody', 'Somebody after all', '2018-11-04 12:00Z', '2018-11-03 20:00Z'),
('edge-4-berlin-in', 'x', '2018-01-05 12:00Z', '2018-11-04 22:59:59.999999Z'),
('edge-4-berlin-out', 'x', '2018-01-05 12:00Z', '2018-11-04 23:00Z'),
('edge-4-sao-paulo-in', 'x', '2018-01-05 12:00Z', '2018-11-05 01:59:59.999999Z'),
('edge-4-sao-paulo-out', 'x', '2018-01-05 12:00Z', '2018-11-05 02:00Z');

-- The parents that are still missing.
insert into campaigns (campaign_id, campaign_name, channel, start_date, end_date, budget, created_at, updated_at)
values
('comes-on-day-4', 'Day Four', 'tv', '2018-11-04', '2018-11-04', 4, '2018-11-04 12:00Z', '2018-11-04 12:00Z'),
('no such', 'there is one', 'tv', '2018-11-04', null, 4, '2018-11-04 12:00Z', '2018-11-04 12:00Z');
insert into products (product_id, product_name, category, price, cost, created_at, updated_at)
values
('no such', 'there is one', 'x', 5, 1, '2018-11-04 12:00Z', '2018-11-04 12:00Z'),
('edited-badly-for-good', 'bad, newer', 'x', -5, -1, '2018-01-05 12:00Z', '2018-11-04 12:00Z'),
('bad-then-good', 'no price any more', null, null, null, '2018-01-05 12:00Z', '2018-11-04 12:00Z'),
('newly-unknown', 'bad', 'x', -1, null, '2018-01-05 12:00Z', '2018-11-04 12:00Z');
insert into inventory values ('newly-unknown', 'W', 6, 1, 4, '2018-01-05 12:00Z', '2018-11-04 12:00Z');
update inventory set reorder_point = null, updated_at = '2018-11-04 12:00Z' where warehouse_id = 'w-not-low';

update orders set status = 'returned', updated_at = '2018-11-04 12:00Z' where order_id = 'mixed';
update orders set status = 'pending', updated_at = '2018-11-04 12:00Z' where order_id = 're-0';
update orders set customer_id = 'two-orders', updated_at = '2018-11-04 12:00Z' where order_id = 'two-3-guest';
insert into orders
values
('short-day', 'zones', null, 'paid', '2018-11-04 23:30Z', '2018-11-04 12:00Z', '2018-11-04 12:00Z'),
('no such', 'equal-times', 'no such', 'complete', '2018-10-20 12:00Z', '2018-11-04 12:00Z', '2018-11-04 12:00Z');
insert into order_items
values
('short-day', 'short-day', 'dated', 1, 1, 0, 1, '2018-11-04 12:00Z', '2018-11-04 12:00Z'),
('late-line-2', 'late-order', 'late-new', -1, 11, 0, 6, '2018-11-03 12:00Z', '2018-11-03 20:00Z');
update order_items set quantity = -1, updated_at = '2018-11-04 12:00Z' where order_item_id = 'guest-1';
delete from order_items where order_item_id = 'line-all-wrong'; -- it waits in quarantine

-- Background
insert into orders
select 'bg-' || n, 'bg-' || n % 5, 'bg-' || n % 2,
    'complete',
    '2018-11-04 00:10Z'::timestamptz + n * interval '20 minutes', '2018-11-04 00:00Z', '2018-11-04 12:00Z'
from generate_series(73, 78) as n;
insert into order_items
select 'bg-' || n || '-1', 'bg-' || n, 'bg-' || n % 4, n % 5 - 2, 4.25, 0.25, 1,
    '2018-11-04 00:00Z', '2018-11-04 12:00Z'
from generate_series(73, 78) as n;
