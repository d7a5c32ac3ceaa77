-- The six source tables of the shop, for an empty database.
--
-- A table has a primary key and nothing else that a shop's own system might not have: no foreign keys, no checks, no
-- clean text. The lakehouse must cope with what a real source holds, so the sample does not protect it.
-- Nulls are allowed wherever the word is not "not null".

create table public.customers (
    customer_id text primary key,
    first_name  text,
    last_name   text,
    email       text,
    phone       text,
    city        text,
    state       text,
    country     text,
    created_at  timestamptz not null,
    updated_at  timestamptz not null
);
comment on table public.customers is 'One row per customer. Personal data: first_name, last_name, email, phone.';

create table public.products (
    product_id   text primary key,
    product_name text,
    category     text,
    brand        text,
    price        numeric(12, 4),
    cost         numeric(12, 4),
    is_active    boolean,
    created_at   timestamptz not null,
    updated_at   timestamptz not null
);
comment on table public.products is 'One row per product, with its present price and cost per unit.';

create table public.campaigns (
    campaign_id   text primary key,
    campaign_name text,
    channel       text,
    start_date    date,
    end_date      date,
    budget        numeric(14, 2),
    created_at    timestamptz not null,
    updated_at    timestamptz not null
);
comment on table public.campaigns is 'One row per marketing campaign.';

create table public.orders (
    order_id    text primary key,
    customer_id text,
    campaign_id text,
    status      text,
    ordered_at  timestamptz,
    created_at  timestamptz not null,
    updated_at  timestamptz not null
);
comment on table public.orders is 'One row per order.';
comment on column public.orders.customer_id is 'Null: a guest.';
comment on column public.orders.campaign_id is 'Null: no campaign brought it.';

create table public.order_items (
    order_item_id text primary key,
    order_id      text,
    product_id    text,
    quantity      integer,
    unit_price    numeric(12, 4),
    discount      numeric(12, 4),
    unit_cost     numeric(12, 4),
    created_at    timestamptz not null,
    updated_at    timestamptz not null
);
comment on table public.order_items is 'One row per line of an order.';
comment on column public.order_items.quantity is 'Negative: returned.';
comment on column public.order_items.discount is 'Amount off the whole line.';
comment on column public.order_items.unit_cost is 'Cost of one unit when it was sold. Null: unknown.';

create table public.inventory (
    product_id        text,
    warehouse_id      text,
    quantity_on_hand  integer,
    quantity_reserved integer,
    reorder_point     integer,
    created_at        timestamptz not null,
    updated_at        timestamptz not null,
    primary key (product_id, warehouse_id)
);
comment on table public.inventory is 'One row per product and warehouse: the stock as it is now.';

-- Incremental extraction asks for a window of updated_at.
create index customers_updated_at on public.customers (updated_at);
create index products_updated_at on public.products (updated_at);
create index campaigns_updated_at on public.campaigns (updated_at);
create index orders_updated_at on public.orders (updated_at);
create index order_items_updated_at on public.order_items (updated_at);
create index inventory_updated_at on public.inventory (updated_at);

-- An update that does not say when it happened happened now: extraction would miss it otherwise.
create function public.set_updated_at() returns trigger language plpgsql as $$
begin
    new.updated_at := now();
    return new;
end
$$;

create trigger set_updated_at before update on public.customers for each row
    when (new.updated_at is not distinct from old.updated_at) execute function public.set_updated_at();
create trigger set_updated_at before update on public.products for each row
    when (new.updated_at is not distinct from old.updated_at) execute function public.set_updated_at();
create trigger set_updated_at before update on public.campaigns for each row
    when (new.updated_at is not distinct from old.updated_at) execute function public.set_updated_at();
create trigger set_updated_at before update on public.orders for each row
    when (new.updated_at is not distinct from old.updated_at) execute function public.set_updated_at();
create trigger set_updated_at before update on public.order_items for each row
    when (new.updated_at is not distinct from old.updated_at) execute function public.set_updated_at();
create trigger set_updated_at before update on public.inventory for each row
    when (new.updated_at is not distinct from old.updated_at) execute function public.set_updated_at();
