-- Changes that an incremental extraction does not see: they leave updated_at alone, or stamp it before the look-back.
-- Not part of the shop brought in one go, which would see them.
update orders set status = 'cancelled' where order_id = 'unseen';
insert into customers (customer_id, city, created_at, updated_at)
values ('unseen', 'stamped long ago', '2018-01-05 12:00Z', '2018-06-01 12:00Z');
insert into products (product_id, price, created_at, updated_at)
values ('std', 77, '2018-01-05 12:00Z', '2018-06-01 12:00Z');
