-- Silver and quarantine, from every image brought so far (schema archive). Parents first, each table in two steps:
-- judged_<table> says of each image what the rules make of it and which it breaks; silver_<table> is what is kept.

create table judged (
    source_table text,
    image bigint,
    key text[] collate "C",      -- after the rule; null when a part is missing
    raw_key text[] collate "C",  -- as the source wrote it, key columns in the contract's order
    row_md5 text collate "C",
    updated_at timestamptz,
    reasons text[]
);

-- Among the valid images of a key the highest updated_at wins, then the least raw key, then the least md5.
-- An invalid image is overtaken only by a valid one with a strictly higher updated_at; with a null key, never.
-- One whose own time could not be held (null) is never shown to be the older, so it stays open too.
create view brought as
select 'customers' as source_table, image, brought_on from archive.customers
union all select 'products', image, brought_on from archive.products
union all select 'orders', image, brought_on from archive.orders
union all select 'order_items', image, brought_on from archive.order_items
union all select 'inventory', image, brought_on from archive.inventory
union all select 'campaigns', image, brought_on from archive.campaigns;

-- A key that was gone on a day voids its images brought by then. Of orders, order_items and inventory they are removed. Of the
-- others the best valid image stays: one that counts before those that are void, of these the one that was voided last.
create view with_deletes as
select
    j.*,
    j.source_table in ('customers', 'products', 'campaigns') as stays,
    (
        select min(g.business_date) from archive.gone as g
        where g.source_table = j.source_table and g.key = j.key and g.business_date >= b.brought_on
    ) as missed_on
from judged as j join brought as b using (source_table, image);

create view usables as
select *, cardinality(reasons) = 0 and (missed_on is null or stays) as usable
from with_deletes;

create view verdicts as
select
    *,
    case
        when usable
            and row_number() over (
                partition by source_table, key, usable
                order by missed_on desc nulls first, updated_at desc, raw_key, row_md5, image
            ) = 1 then 'kept'
        when missed_on is not null and not usable then 'removed'
        when cardinality(reasons) = 0 then 'deduplicated'
        when key is not null
            and updated_at < max(updated_at) filter (where cardinality(reasons) = 0 and missed_on is null)
                over (partition by source_table, key)
            then 'deduplicated'
        else 'open'
    end as verdict,
    (select r.ends_at from archive.runs as r where r.business_date = missed_on) as missed_at
from usables;

-- customers ---------------------------------------------------------------------------------------------------------
create table judged_customers as
select
    image, customer_id as raw_id,
    identifier(customer_id) as customer_id,
    clean(first_name) as first_name,
    clean(last_name) as last_name,
    nullif(concat_ws(' ', clean(first_name), clean(last_name)), '') as full_name,
    email(email) as email,
    phone(phone) as phone,
    clean(city) as city,
    clean(state) as state,
    clean(country) as country,
    held(created_at) as created_at,
    held(updated_at) as updated_at,
    lost(created_at) or lost(updated_at) as lost,
    md5(concat_ws(
        chr(31), cell(customer_id), cell(first_name), cell(last_name), cell(email), cell(phone), cell(city),
        cell(state), cell(country), cell(held(created_at)), cell(held(updated_at))
    )) as row_md5
from archive.customers;

insert into judged
select
    'customers', image, case when customer_id is not null then array[customer_id] end, array[raw_id], row_md5,
    updated_at,
    reasons(
        case when customer_id is null then 'key_null' end,
        case when too_long(customer_id) then 'key_too_long' end,
        case when lost then 'not_representable' end,
        case when customer_id = 'UNKNOWN' then 'key_reserved' end
    )
from judged_customers;

create table silver_customers as
select
    customer_id, first_name, last_name, full_name, email, phone, city, state, country, created_at, j.updated_at, v.missed_at as _deleted_at
from judged_customers as j join verdicts as v using (image)
where v.source_table = 'customers' and v.verdict = 'kept';
create index on silver_customers (customer_id);

-- products ----------------------------------------------------------------------------------------------------------
create table judged_products as
select
    image, product_id as raw_id,
    identifier(product_id) as product_id,
    clean(product_name) as product_name,
    coalesce(title_case(category), 'Uncategorised') as category,
    title_case(brand) as brand,
    held(price) as price,
    held(cost) as cost,
    is_active,
    held(created_at) as created_at,
    held(updated_at) as updated_at,
    lost(price) or lost(cost) or lost(created_at) or lost(updated_at) as lost,
    md5(concat_ws(
        chr(31), cell(product_id), cell(product_name), cell(category), cell(brand), cell(held(price)), cell(held(cost)),
        cell(is_active), cell(held(created_at)), cell(held(updated_at))
    )) as row_md5
from archive.products;

insert into judged
select
    'products', image, case when product_id is not null then array[product_id] end, array[raw_id], row_md5, updated_at,
    reasons(
        case when product_id is null then 'key_null' end,
        case when too_long(product_id) then 'key_too_long' end,
        case when lost then 'not_representable' end,
        case when price < 0 then 'price_negative' end,
        case when cost < 0 then 'cost_negative' end
    )
from judged_products;

create table silver_products as
select
    product_id, product_name, category, brand, price, cost, as_margin(ratio(price - cost, price)) as profit_margin,
    is_active, created_at, j.updated_at, v.missed_at as _deleted_at
from judged_products as j join verdicts as v using (image)
where v.source_table = 'products' and v.verdict = 'kept';
create index on silver_products (product_id);

-- campaigns ---------------------------------------------------------------------------------------------------------
create table judged_campaigns as
select
    image, campaign_id as raw_id,
    identifier(campaign_id) as campaign_id,
    clean(campaign_name) as campaign_name,
    replace(lower_case(clean(channel)), ' ', '_') as channel,
    held(start_date) as start_date,
    held(end_date) as end_date,
    held(budget) as budget,
    held(created_at) as created_at,
    held(updated_at) as updated_at,
    lost(start_date) or lost(end_date) or lost(budget) or lost(created_at) or lost(updated_at) as lost,
    md5(concat_ws(
        chr(31), cell(campaign_id), cell(campaign_name), cell(channel), cell(held(start_date)), cell(held(end_date)),
        cell(held(budget)), cell(held(created_at)), cell(held(updated_at))
    )) as row_md5
from archive.campaigns;

insert into judged
select
    'campaigns', image, case when campaign_id is not null then array[campaign_id] end, array[raw_id], row_md5,
    updated_at,
    reasons(
        case when campaign_id is null then 'key_null' end,
        case when too_long(campaign_id) then 'key_too_long' end,
        case when lost then 'not_representable' end,
        case when budget < 0 then 'budget_negative' end,
        case when end_date < start_date then 'end_before_start' end
    )
from judged_campaigns;

create table silver_campaigns as
select campaign_id, campaign_name, channel, start_date, end_date, budget, created_at, j.updated_at, v.missed_at as _deleted_at
from judged_campaigns as j join verdicts as v using (image)
where v.source_table = 'campaigns' and v.verdict = 'kept';
create index on silver_campaigns (campaign_id);

-- inventory ---------------------------------------------------------------------------------------------------------
create table judged_inventory as
select
    image, product_id as raw_id, warehouse_id as raw_warehouse_id,
    identifier(product_id) as product_id,
    identifier(warehouse_id) as warehouse_id,
    quantity_on_hand, quantity_reserved, reorder_point,
    held(created_at) as created_at,
    held(updated_at) as updated_at,
    lost(created_at) or lost(updated_at) as lost,
    md5(concat_ws(
        chr(31), cell(product_id), cell(warehouse_id), cell(quantity_on_hand), cell(quantity_reserved),
        cell(reorder_point), cell(held(created_at)), cell(held(updated_at))
    )) as row_md5
from archive.inventory;

insert into judged
select
    'inventory', image,
    case when product_id is not null and warehouse_id is not null then array[product_id, warehouse_id] end,
    array[raw_id, raw_warehouse_id], row_md5, updated_at,
    reasons(
        case when product_id is null or warehouse_id is null then 'key_null' end,
        case when too_long(product_id) or too_long(warehouse_id) then 'key_too_long' end,
        case when lost then 'not_representable' end
    )
from judged_inventory;

create table silver_inventory as
select
    product_id, warehouse_id, quantity_on_hand, quantity_reserved, reorder_point,
    quantity_on_hand::bigint - quantity_reserved as available, created_at, j.updated_at
from judged_inventory as j join verdicts as v using (image)
where v.source_table = 'inventory' and v.verdict = 'kept';

-- orders ------------------------------------------------------------------------------------------------------------
create table judged_orders as
select
    image, order_id as raw_id,
    identifier(order_id) as order_id,
    coalesce(identifier(customer_id), 'UNKNOWN') as customer_id,
    identifier(campaign_id) as campaign_id,
    order_status(status) as status,
    held(ordered_at) as ordered_at,
    shop_date(held(ordered_at)) as order_date,
    held(created_at) as created_at,
    held(updated_at) as updated_at,
    lost(ordered_at) or lost(created_at) or lost(updated_at) as lost,
    md5(concat_ws(
        chr(31), cell(order_id), cell(customer_id), cell(campaign_id), cell(status), cell(held(ordered_at)),
        cell(held(created_at)), cell(held(updated_at))
    )) as row_md5
from archive.orders;

insert into judged
select
    'orders', image, case when order_id is not null then array[order_id] end, array[raw_id], row_md5, updated_at,
    reasons(
        case when order_id is null then 'key_null' end,
        case when too_long(order_id) then 'key_too_long' end,
        case when lost then 'not_representable' end,
        case
            when status is null
                or status not in ('pending', 'paid', 'shipped', 'delivered', 'cancelled', 'returned')
                then 'status_not_allowed'
        end,
        case when ordered_at is null then 'ordered_at_null' end,
        case
            when customer_id <> 'UNKNOWN'
                and not exists (select from silver_customers as c where c.customer_id = judged_orders.customer_id)
                then 'customer_missing'
        end,
        case
            when campaign_id is not null
                and not exists (select from silver_campaigns as c where c.campaign_id = judged_orders.campaign_id)
                then 'campaign_missing'
        end
    )
from judged_orders;

create table silver_orders as
select order_id, customer_id, campaign_id, status, ordered_at, order_date, created_at, j.updated_at
from judged_orders as j join verdicts as v using (image)
where v.source_table = 'orders' and v.verdict = 'kept';
create index on silver_orders (order_id);

-- order_items -------------------------------------------------------------------------------------------------------
create table judged_order_items as
select
    image, order_item_id as raw_id,
    identifier(order_item_id) as order_item_id,
    identifier(order_id) as order_id,
    identifier(product_id) as product_id,
    quantity,
    held(unit_price) as unit_price,
    held(discount) as discount,
    held(unit_cost) as unit_cost,
    quantity * held(unit_price) as gross_amount,
    held(created_at) as created_at,
    held(updated_at) as updated_at,
    lost(unit_price) or lost(discount) or lost(unit_cost) or lost(created_at) or lost(updated_at) as lost,
    md5(concat_ws(
        chr(31), cell(order_item_id), cell(order_id), cell(product_id), cell(quantity), cell(held(unit_price)),
        cell(held(discount)), cell(held(unit_cost)), cell(held(created_at)), cell(held(updated_at))
    )) as row_md5
from archive.order_items;

insert into judged
select
    'order_items', image, case when order_item_id is not null then array[order_item_id] end, array[raw_id], row_md5,
    updated_at,
    reasons(
        case when order_item_id is null then 'key_null' end,
        case when too_long(order_item_id) then 'key_too_long' end,
        case when lost then 'not_representable' end,
        case when quantity is null then 'quantity_null' end,
        case when quantity = 0 then 'quantity_zero' end,
        case when unit_price is null then 'unit_price_null' end,
        case when unit_price < 0 then 'unit_price_negative' end,
        case when unit_cost < 0 then 'unit_cost_negative' end,
        case when discount < 0 then 'discount_negative' end,
        case when discount > abs(gross_amount) then 'discount_exceeds_gross' end,
        case when abs(gross_amount) >= 10000000000000 then 'gross_out_of_range' end,
        case
            when order_id is null
                or not exists (select from silver_orders as o where o.order_id = judged_order_items.order_id)
                then 'order_missing'
        end,
        case
            when product_id is null
                or not exists (select from silver_products as p where p.product_id = judged_order_items.product_id)
                then 'product_missing'
        end
    )
from judged_order_items;

create table silver_order_items as
select
    order_item_id, order_id, product_id, quantity, unit_price, coalesce(discount, 0) as discount, unit_cost,
    gross_amount, gross_amount - sign(quantity::numeric) * coalesce(discount, 0) as net_amount, created_at, j.updated_at
from judged_order_items as j join verdicts as v using (image)
where v.source_table = 'order_items' and v.verdict = 'kept';

-- quarantine and counts ---------------------------------------------------------------------------------------------
create table settled as select * from verdicts;

-- One row per open image and reason. key: the parts as the source wrote them, in row text.
create table quarantine as
select
    source_table,
    (select string_agg(cell(part), chr(31) order by place) from unnest(raw_key) with ordinality as k (part,
    place)) as key,
    row_md5,
    image,
    reason
from settled cross join unnest(reasons) as reason
where verdict = 'open';

-- Since the beginning: every image is kept, deduplicated, removed or open.
create table counts as
select
    source_table,
    count(image) as extracted,
    count(image) filter (where verdict = 'kept') as kept,
    count(image) filter (where verdict = 'deduplicated') as deduplicated,
    count(image) filter (where verdict = 'removed') as removed,
    count(image) filter (where verdict = 'open') as open
from unnest(array['customers', 'products', 'orders', 'order_items', 'inventory', 'campaigns']) as names (source_table)
    left join settled using (source_table)
group by source_table;

-- Of the last run: batch + open before + recalled = those of them now kept + now deduplicated + now removed + open after.
-- Recalled are rows of silver whose key is gone by then. (No row of this shop waits for an order that is gone.)
create view open_before as
select source_table, image
from archive.open_after
where business_date = (
    select max(a.business_date) from archive.open_after as a, parameters as p where a.business_date < p.business_date
);

create view recalled as
select k.source_table, k.image
from archive.kept_after as k join settled using (source_table, image)
where k.business_date = (
    select max(a.business_date) from archive.kept_after as a, parameters as p where a.business_date < p.business_date
) and exists (
    select from archive.gone as g, parameters as p
    where g.source_table = k.source_table and g.key = settled.key and g.business_date = p.business_date
);

create table run_counts as
select
    source_table,
    count(image) filter (where brought_on = business_date) as batch,
    count(image) filter (where was_open) as open_before,
    count(image) filter (where is_recalled) as recalled,
    count(image) filter (where taken_up and verdict = 'kept') as kept,
    count(image) filter (where taken_up and verdict = 'deduplicated') as deduplicated,
    count(image) filter (where taken_up and verdict = 'removed') as removed,
    count(image) filter (where verdict = 'open') as open_after
from counts
    cross join parameters
    left join settled using (source_table)
    left join brought using (source_table, image)
    left join (select *, true as was_open from open_before) as b using (source_table, image)
    left join (select *, true as is_recalled from recalled) as r using (source_table, image)
    cross join lateral (select brought_on = business_date or was_open or is_recalled as taken_up) as t
group by source_table;

delete from archive.open_after where business_date = (select business_date from parameters);
insert into archive.open_after
select business_date, source_table, image from settled, parameters where verdict = 'open';
delete from archive.kept_after where business_date = (select business_date from parameters);
insert into archive.kept_after
select business_date, source_table, image from settled, parameters where verdict = 'kept';
