-- Of two products the first is the one whose identifier comes first by its bytes, whatever language the server sorts by.
with sizes as (
    select order_id from {{ ref("stg_baskets") }} group by order_id having count(*) <= {{ var("largest_basket") }}
),

baskets as (
    select b.order_id, b.product_id from {{ ref("stg_baskets") }} b join sizes using (order_id)
),

products as (
    select product_id, count(*) as baskets from baskets group by product_id
),

pairs as (
    select a.product_id as product_a, b.product_id as product_b, count(*) as baskets
    from baskets a
    join baskets b on b.order_id = a.order_id and a.product_id collate "C" < b.product_id collate "C"
    group by 1, 2
    having count(*) >= {{ var("fewest_baskets") }}
),

everything as (
    select count(*) as baskets from sizes
)

select p.product_a, p.product_b, p.baskets,
       a.baskets as baskets_of_a,
       b.baskets as baskets_of_b,
       round(p.baskets::numeric / e.baskets, 8) as support,
       round(p.baskets::numeric / a.baskets, 4) as confidence_a_to_b,
       round(p.baskets::numeric / b.baskets, 4) as confidence_b_to_a,
       round(p.baskets::numeric * e.baskets / (a.baskets * b.baskets), 4) as lift
from pairs p
join products a on a.product_id = p.product_a
join products b on b.product_id = p.product_b
cross join everything e
