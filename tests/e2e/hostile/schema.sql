-- The hostile shop's source: the six tables with no key, no check and hardly a "not null". A real source can be bad.
-- Two rows of one key, a row without a time, a birth in the year 10000: all of it can stand here.

create table public.customers (
    customer_id text, first_name text, last_name text, email text, phone text, city text, state text, country text,
    created_at timestamptz, updated_at timestamptz
);
create table public.products (
    product_id text, product_name text, category text, brand text, price numeric(12, 4), cost numeric(12, 4),
    is_active boolean, created_at timestamptz, updated_at timestamptz
);
create table public.orders (
    order_id text, customer_id text, campaign_id text, status text, ordered_at timestamptz,
    created_at timestamptz, updated_at timestamptz
);
create table public.order_items (
    order_item_id text, order_id text, product_id text, quantity integer, unit_price numeric(12, 4),
    discount numeric(12, 4), unit_cost numeric(12, 4), created_at timestamptz, updated_at timestamptz
);
create table public.inventory (
    product_id text, warehouse_id text, quantity_on_hand integer, quantity_reserved integer, reorder_point integer,
    created_at timestamptz, updated_at timestamptz
);
create table public.campaigns (
    campaign_id text, campaign_name text, channel text, start_date date, end_date date, budget numeric(14, 2),
    created_at timestamptz, updated_at timestamptz
);
