-- Day 3 (business date 2018-11-03; the days since 2018-10-29 were never run, so this run brings them too). In Sao Paulo
-- it ends at a midnight that does not exist: 2018-11-04 begins at 01:00, which is 03:00Z.
-- Late: stamped before the end of day 2 in both zones (2018-10-28 23:00Z in Berlin) but written only now.

-- The customer whom an order and its lines wait for: the whole chain comes in.
insert into customers (customer_id, first_name, city, created_at, updated_at)
values
('comes-on-day-3', 'Day', 'Three', '2018-10-30 12:00Z', '2018-10-30 12:00Z'),
('stamped-bc', null, 'older than day 2, late', '2018-01-05 12:00Z', '2018-10-28 11:00Z'),
('edge-3-berlin-in', null, 'x', '2018-01-05 12:00Z', '2018-11-03 22:59:59.999999Z'),
('edge-3-berlin-out', null, 'x', '2018-01-05 12:00Z', '2018-11-03 23:00Z'),
('edge-3-sao-paulo-in', null, 'x', '2018-01-05 12:00Z', '2018-11-04 02:59:59.999999Z'),
('edge-3-sao-paulo-out', null, 'x', '2018-01-05 12:00Z', '2018-11-04 03:00Z');
update customers set first_name = null, last_name = null, email = null, updated_at = '2018-11-03 12:00Z'
where customer_id = 'name-both';

-- products: a still newer good image; a bad one of the same time is overtaken at last; unknown ones become known.
update products set product_name = 'good again', cost = 7, updated_at = '2018-11-03 12:00Z'
where product_id = 'edited-badly';
insert into products (product_id, product_name, category, price, cost, created_at, updated_at)
values
('same-time', 'good, newer', 'x', 2, 1, '2018-01-05 12:00Z', '2018-11-03 12:00Z'),
('late-older', 'late, newest', 'x', 2, 1, '2018-01-05 12:00Z', '2018-10-28 10:00Z'),
('edited-badly-for-good', 'late: good, older than the bad', 'x', 5, 1, '2018-01-05 12:00Z', '2018-10-28 11:00Z'),
('comes-on-day-3', 'Day Three', 'day three', 5, 1, '2018-11-03 12:00Z', '2018-11-03 12:00Z'),
('nobody-knows', 'known now', 'x', 5, 2.5, '2018-11-03 12:00Z', '2018-11-03 12:00Z'),
('only-bad', 'good at last', 'x', 4, 3, '2018-01-05 12:00Z', '2018-10-28 11:00Z');
insert into campaigns (campaign_id, campaign_name, channel, budget, created_at, updated_at)
values ('Comes-On-Day-3', 'Day Three', 'TV', 30, '2018-11-03 12:00Z', '2018-11-03 12:00Z');
update campaigns set end_date = null, campaign_name = 'good', updated_at = '2018-11-03 12:00Z'
where campaign_id = 'bg-1';
update inventory set quantity_reserved = 100, updated_at = '2018-11-03 12:00Z' where product_id = 'stock-back';
update inventory set quantity_on_hand = 50, created_at = '2018-01-05 12:00Z', updated_at = '2018-11-03 12:00Z'
where warehouse_id = E'w-not-low\t';

-- orders: an earlier order comes in and one is cancelled, so a customer's orders are numbered again.
update orders set status = 'canceled', updated_at = '2018-11-03 12:00Z' where order_id = 're-1';
update orders set created_at = '2018-10-20 12:00Z', updated_at = '2018-11-03 12:00Z' where order_id = 'moves';
update orders set status = 'lost', updated_at = '2018-11-03 12:00Z' where order_id = 'mixed';
update orders set ordered_at = '2018-10-20 11:00Z', updated_at = '2018-11-03 12:00Z' where order_id = 'eq-Z';
insert into orders
values
('re-0', 'renumber', null, 'paid', '2018-10-05 12:00Z', '2018-10-05 12:00Z', '2018-11-03 12:00Z'),
('re-5', 'renumber', null, 'refunded', '2018-10-30 12:00Z', '2018-10-30 12:00Z', '2018-10-30 12:00Z'),
('camp-older', 'movers', null, 'paid', '2018-09-30 12:00Z', '2018-09-30 12:00Z', '2018-11-03 12:00Z'),
('late-on-day-3', 'comes-on-day-3', null, 'paid', '2018-10-28 10:00Z', '2018-10-28 10:00Z', '2018-10-28 11:00Z');
update orders set created_at = '2018-11-03 03:30Z', updated_at = '2018-10-31 12:00Z' where order_id = 'no-lines';
delete from orders where order_id = 'two-1';
delete from customers where customer_id = 'bg-4';
delete from order_items where order_item_id = 'two-1';

-- order_items
insert into order_items
values
('re-0', 're-0', 'std-2', 1, 1, 0, 1, '2018-10-05 12:00Z', '2018-11-03 12:00Z'),
('re-5', 're-5', 'std-2', 1, 1, 0, 1, '2018-10-30 12:00Z', '2018-10-30 12:00Z'),
('camp-older', 'camp-older', 'campaigned', 1, 1, 0, 1, '2018-09-30 12:00Z', '2018-11-03 12:00Z'),
('late-on-day-3', 'late-on-day-3', 'std-2', 1, 1, 0, 1, '2018-10-28 10:00Z', '2018-10-28 11:00Z'),
('edited-line', 'lines', 'std', 52, 1, 0, 1, '2018-10-20 12:00Z', '2018-10-28 11:59:59.999999Z'),
('edited-line', 'lines', 'std', 51, 1, 0, 1, '2018-10-20 12:00Z', '2018-10-28 11:00Z'),
('line-quantity-null', 'lines', 'std', 4, 1, 0, 1, '2018-10-20 12:00Z', '2018-11-03 12:00Z'),
('rich-1-12', 'rich-1', 'priceless', -2, 100, 0, null, '2018-10-30 12:00Z', '2018-10-30 12:00Z');
update order_items set quantity = -18645507, updated_at = '2018-11-03 12:00Z' where order_item_id = 'rich-2-1';
update order_items set quantity = 9, discount = 'NaN', updated_at = '2018-11-03 12:00Z'
where order_item_id = 'line-back';

-- Background
insert into orders
select 'bg-' || n, 'bg-' || n % 5, 'bg-' || n % 2,
    'shipped',
    '2018-10-29 04:00Z'::timestamptz + n * interval '91 minutes', '2018-10-29 04:00Z', '2018-11-02 12:00Z'
from generate_series(67, 72) as n;
insert into order_items
select 'bg-' || n || '-1', 'bg-' || n, 'bg-' || n % 4, n % 3 - 1, 4.25, 0.25, 1,
    '2018-10-29 04:00Z', '2018-11-02 12:00Z'
from generate_series(67, 72) as n;
update order_items set discount = discount + 0.01, updated_at = '2018-11-02 12:00Z'
where order_item_id like 'bg-6_-1' and created_at < '2018-10-29';
