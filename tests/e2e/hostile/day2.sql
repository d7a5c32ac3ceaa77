-- Day 2 (business date 2018-10-28, a day of 25 hours in Berlin). Most rows are stamped 2018-10-28 12:00Z.
-- Late: stamped before the end of day 1 in both zones (2018-10-27 22:00Z in Berlin) but written only now.

-- customers: parents that come, edits, a key spelt in another way, the ends of the second window.
insert into customers (customer_id, first_name, city, created_at, updated_at)
values
('comes-on-day-2', 'Day', 'Two', '2018-10-28 12:00Z', '2018-10-28 12:00Z'),
('TIE-C ', null, 'newer than all spellings', '2018-01-05 12:00Z', '2018-10-28 12:00Z'),
('stamped-bc', null, 'well at last', '2018-01-05 12:00Z', '2018-10-28 12:00Z'),
('born-infinite', null, 'well at last', '2018-01-06 12:00Z', '2018-10-28 12:00Z'),
('born-bc', null, 'bad again', 'infinity', '2018-10-28 12:00Z'),
('tie-a', null, 'late, older', '2018-01-05 12:00Z', '2018-10-27 11:00Z'),
(E'\ntie-a', null, 'late, the same time, least', '2018-01-05 12:00Z', '2018-10-27 12:00Z'),
('tie-md5', null, 'late four', '2018-01-05 12:00Z', '2018-10-27 12:00Z'),
('Unknown', null, 'reserved', '2018-01-05 12:00Z', '2018-10-28 12:00Z'),
(null, null, 'key null', '2018-01-05 12:00Z', '2018-10-28 12:00Z'),
('edge-2-berlin-in', null, 'x', '2018-01-05 12:00Z', '2018-10-28 22:59:59.999999Z'),
('edge-2-berlin-out', null, 'x', '2018-01-05 12:00Z', '2018-10-28 23:00Z'),
('edge-2-sao-paulo-in', null, 'x', '2018-01-05 12:00Z', '2018-10-29 02:59:59.999999Z'),
('edge-2-sao-paulo-out', null, 'x', '2018-01-05 12:00Z', '2018-10-29 03:00Z');
update customers set email = 'no longer good', city = 'moved', updated_at = '2018-10-28 12:00Z'
where customer_id = 'email-plain';
update customers set last_name = E'King\u00a0', updated_at = '2018-10-28 12:00Z' where customer_id = 'name-both';
update customers set created_at = '2018-10-27 23:30Z', updated_at = '2018-10-28 12:00Z' where customer_id = 'bg-1';

-- products: bad then good, good then bad, and late images.
update products set product_name = 'good', price = 12, cost = 5, updated_at = '2018-10-28 12:00Z'
where product_id = 'bad-then-good';
update products set product_name = 'bad', cost = -1, updated_at = '2018-10-28 12:00Z'
where product_id in ('edited-badly', 'edited-badly-for-good');
update products set product_name = 'renamed', category = 'newer', price = 11, updated_at = '2018-10-28 12:00Z'
where product_id = 'std-2';
insert into products (product_id, product_name, price, cost, created_at, updated_at)
values
('late-older', 'late, older', 1, 1, '2018-01-05 12:00Z', '2018-10-27 20:00Z'),
('late-newer', 'late, newer', 1, 1, '2018-01-05 12:00Z', '2018-10-27 20:00Z'),
('LATE-TIE', 'late, the same time, least', 1, 1, '2018-01-05 12:00Z', '2018-10-27 20:00Z'),
('late-invalid', 'late, older, bad', -1, 1, '2018-01-05 12:00Z', '2018-10-27 20:00Z'),
('late-invalid', 'late, the same time, bad', -1, 1, '2018-01-05 12:00Z', '2018-10-27 21:00Z'),
('late-new', 'late, new', 1, 1, '2018-01-05 12:00Z', '2018-10-27 20:00Z'),
('only-bad', 'still bad', null, -1, '2018-01-05 12:00Z', '2018-10-28 12:00Z'),
('85123a.0', 'another key', 1, 1, '2018-01-05 12:00Z', '2018-10-28 12:00Z');

-- campaigns: a budget is fixed; the orders that wait for it come in.
update campaigns set budget = 50, updated_at = '2018-10-28 12:00Z' where campaign_id = 'budget-negative';
update campaigns set channel = 'New Channel', budget = 200, updated_at = '2018-10-28 12:00Z' where campaign_id = 'bg-0';
update campaigns
set start_date = '2018-10-20', end_date = '2018-10-19', campaign_name = 'bad', updated_at = '2018-10-28 12:00Z'
where campaign_id = 'bg-1';
insert into campaigns (campaign_id, campaign_name, budget, created_at, updated_at)
values ('1', 'other spelling, newer', 6, '2018-01-05 12:00Z', '2018-10-28 12:00Z');

-- inventory
update inventory set quantity_on_hand = 4, updated_at = '2018-10-28 12:00Z'
where product_id = 'std' and warehouse_id = 'w-healthy';
update inventory set quantity_on_hand = null, updated_at = '2018-10-28 12:00Z' where product_id = 'stock-none';
insert into inventory
values
('STD', ' w-zero', 30, 0, 5, '2018-01-05 12:00Z', '2018-10-28 12:00Z'),
('STD', 'W-LOW', 999, 0, 5, '2018-01-05 12:00Z', '2018-10-27 11:00Z'),
('std', E'w-not-low\t', 5, 0, 5, 'infinity', '2018-10-28 12:00Z'),
('std', ' ', 5, 0, 5, '2018-01-05 12:00Z', '2018-10-28 12:00Z'),
('newly-unknown', 'w', 5, 0, 5, '2018-01-05 12:00Z', '2018-10-28 12:00Z');

-- orders: fixed, moved to another day of creation, counted and not counted; the newest image of one is an orphan.
update orders set status = 'paid', updated_at = '2018-10-28 12:00Z'
where order_id in ('status-null', 're-2', 'pending-lines');
update orders set created_at = '2018-10-22 12:00Z', updated_at = '2018-10-28 12:00Z' where order_id = 'moves';
update orders set created_at = '2018-10-28 01:30Z', ordered_at = '2018-10-19 12:00Z', updated_at = '2018-10-28 12:00Z'
where order_id = 'night-berlin-midnight';
update orders set customer_id = 'comes-on-day-4', updated_at = '2018-10-28 12:00Z' where order_id = 'two-2';
update orders set ordered_at = 'infinity', updated_at = '2018-10-28 12:00Z' where order_id = 'eq-Z';
insert into orders
values
('comes-on-day-2', 'Comes-On-Day-2', null, 'paid', '2018-10-28 12:00Z', '2018-10-28 12:00Z', '2018-10-28 12:00Z'),
('late-order', 'rules', null, 'paid', '2018-10-27 19:00Z', '2018-10-27 19:00Z', '2018-10-27 20:00Z'),
('waits-on-day-2', 'comes-on-day-3', 'comes-on-day-3', 'paid', '2018-10-28 12:00Z', '2018-10-28 12:00Z',
    '2018-10-28 12:00Z'),
('EQ-A', 'equal-times', null, 'paid', '2018-10-20 12:00Z', '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
('536365.0', 'nobody', null, 'paid', '2018-10-20 12:00Z', '2018-10-20 12:00Z', '2018-10-28 12:00Z');

-- order_items
update order_items set order_id = 'move-to', updated_at = '2018-10-28 12:00Z' where order_item_id = 'moving';
update order_items set product_id = 'no such', quantity = 50, updated_at = '2018-10-28 12:00Z'
where order_item_id = 'edited-line';
update order_items set quantity = 0, updated_at = '2018-10-28 12:00Z' where order_item_id = 'line-plain';
update order_items set quantity = 3, updated_at = '2018-10-28 12:00Z'
where order_item_id in ('line-quantity-zero', 'back-1');
update order_items set unit_cost = null, updated_at = '2018-10-28 12:00Z' where order_item_id = 'cost-1';
update order_items set unit_cost = 2, updated_at = '2018-10-28 12:00Z' where order_item_id in ('cost-4', 'camp-11');
update order_items set created_at = '2018-10-28 22:30Z', updated_at = '2018-10-28 12:00Z'
where order_item_id = 'staying';
insert into order_items
values
('comes-on-day-2', 'comes-on-day-2', 'std-2', 2, 11, 1, 6, '2018-10-28 12:00Z', '2018-10-28 12:00Z'),
('late-line', 'late-order', 'late-new', 2, 11, 1, 6, '2018-10-27 19:00Z', '2018-10-27 20:00Z'),
('waits-on-day-2', 'waits-on-day-2', 'comes-on-day-3', 3, 5, 0, 1, '2018-10-28 12:00Z', '2018-10-28 12:00Z'),
('line-discount-null', 'lines', 'std', 99, 1, 0, 1, '2018-10-20 12:00Z', '2018-10-27 11:00Z'),
('LINE-PRICE-ZERO', 'lines', 'std', 98, 1, 0, 1, '2018-10-20 12:00Z', '2018-10-27 12:00Z'),
('stock-6', 'stock', 'stock-one', -1, 1, 0, 1, '2018-10-28 12:00Z', '2018-10-28 12:00Z'),
('stock-7', 'stock', 'stock-one', 2, 1, 0, 1, '2018-10-28 12:00Z', '2018-10-28 12:00Z');

-- Background
insert into orders
select 'bg-' || n, 'bg-' || n % 5, 'bg-' || n % 2,
    'paid', '2018-10-28 04:00Z'::timestamptz + n * interval '7 minutes',
    '2018-10-28 04:00Z', '2018-10-28 12:00Z'
from generate_series(61, 66) as n;
insert into order_items
select 'bg-' || n || '-1', 'bg-' || n, 'bg-' || n % 4, n % 3 + 1, 4.25, 0.25, 1,
    '2018-10-28 04:00Z', '2018-10-28 12:00Z'
from generate_series(61, 66) as n;
update orders set status = 'delivered', updated_at = '2018-10-28 12:00Z' where order_id in ('bg-8', 'bg-16', 'bg-3');
