"""The rules of silver: columns as SQL over a row `b` of bronze, and why a row stays out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rules:
    """How a table of silver is made. `{name}` in a reason or a join stands for the expression of that column."""

    columns: Mapping[str, str]
    reasons: Mapping[str, str]
    joins: str = ""
    memory: Mapping[str, str] = field(default_factory=dict)
    """Columns that gold needs and the lake does not: row numbers of what the row refers to."""

    def filled(self, text: str) -> str:
        """A text with the expressions of the columns in it."""
        return text.format(**{name: f"({expression})" for name, expression in self.columns.items()})


SILVER = {
    "customers": Rules(
        columns={
            "customer_id": "ident(b.customer_id)",
            "first_name": "clean(b.first_name)",
            "last_name": "clean(b.last_name)",
            "full_name": "nullif(concat_ws(' ', clean(b.first_name), clean(b.last_name)), '')",
            "email": r"case when regexp_matches(lower(clean(b.email)), '^[^@ ]+@[^@ ]+\.[^@ ]+$') "
            "then lower(clean(b.email)) end",
            "phone": r"nullif((case when regexp_matches(clean(b.phone), '^[ ()\[\]{}<>]*[+]') then '+' else '' end) "
            "|| regexp_replace(b.phone, '[^0-9]', '', 'g'), '')",
            "city": "clean(b.city)",
            "state": "clean(b.state)",
            "country": "clean(b.country)",
        },
        reasons={"key_null": "{customer_id} is null", "key_reserved": "{customer_id} = 'UNKNOWN'"},
    ),
    "products": Rules(
        columns={
            "product_id": "ident(b.product_id)",
            "product_name": "clean(b.product_name)",
            "category": "coalesce(title(b.category), 'Uncategorised')",
            "brand": "title(b.brand)",
            "price": "b.price",
            "cost": "b.cost",
            "profit_margin": "case when b.price <> 0 then try_cast(ratio4(((b.price - b.cost) * 10000)::hugeint, "
            "(b.price * 10000)::hugeint) as decimal(9,4)) end",
            "is_active": "b.is_active",
        },
        reasons={"key_null": "{product_id} is null", "price_negative": "b.price < 0", "cost_negative": "b.cost < 0"},
    ),
    "campaigns": Rules(
        columns={
            "campaign_id": "ident(b.campaign_id)",
            "campaign_name": "clean(b.campaign_name)",
            "channel": "replace(lower(clean(b.channel)), ' ', '_')",
            "start_date": "b.start_date",
            "end_date": "b.end_date",
            "budget": "b.budget",
        },
        reasons={
            "key_null": "{campaign_id} is null",
            "budget_negative": "b.budget < 0",
            "end_before_start": "b.end_date < b.start_date",
        },
    ),
    "orders": Rules(
        columns={
            "order_id": "ident(b.order_id)",
            "customer_id": "coalesce(ident(b.customer_id), 'UNKNOWN')",
            "campaign_id": "ident(b.campaign_id)",
            "status": "case lower(clean(b.status)) when 'canceled' then 'cancelled' when 'complete' then 'delivered' "
            "when 'completed' then 'delivered' when 'refunded' then 'returned' else lower(clean(b.status)) end",
            "ordered_at": "b.ordered_at",
            "order_date": "b.ordered_at::date",
        },
        joins="left join silver_customers c on c.customer_id = {customer_id} "
        "left join silver_campaigns m on m.campaign_id = {campaign_id}",
        memory={"customer_row": "c.rowid::int", "campaign_row": "m.rowid::int"},
        reasons={
            "key_null": "{order_id} is null",
            "status_not_allowed": "{status} is null or {status} not in "
            "('pending', 'paid', 'shipped', 'delivered', 'cancelled', 'returned')",
            "ordered_at_null": "b.ordered_at is null",
            "customer_missing": "{customer_id} <> 'UNKNOWN' and c.rowid is null",
            "campaign_missing": "{campaign_id} is not null and m.rowid is null",
        },
    ),
    "order_items": Rules(
        columns={
            "order_item_id": "ident(b.order_item_id)",
            "order_id": "ident(b.order_id)",
            "product_id": "ident(b.product_id)",
            "quantity": "b.quantity",
            "unit_price": "b.unit_price",
            "discount": "(sign(b.quantity)::int * coalesce(b.discount, 0))::decimal(12,4)",
            "unit_cost": "b.unit_cost",
            "gross_amount": "b.quantity * b.unit_price",
            "net_amount": "b.quantity * b.unit_price - sign(b.quantity)::int * coalesce(b.discount, 0)",
        },
        joins="left join silver_orders o on o.order_id = {order_id} "
        "left join silver_products p on p.product_id = {product_id}",
        memory={
            "order_row": "o.rowid::int",
            "product_row": "p.rowid::int",
            "customer_row": "o.customer_row",
            "campaign_row": "o.campaign_row",
            "order_date": "o.order_date",
            "is_sale": "o.status not in ('pending', 'cancelled')",
        },
        reasons={
            "key_null": "{order_item_id} is null",
            "quantity_null": "b.quantity is null",
            "quantity_zero": "b.quantity = 0",
            "unit_price_null": "b.unit_price is null",
            "unit_price_negative": "b.unit_price < 0",
            "unit_cost_negative": "b.unit_cost < 0",
            "discount_negative": "b.discount < 0",
            "discount_exceeds_gross": "b.discount > abs(b.quantity * b.unit_price)",
            "gross_out_of_range": "abs(b.quantity * b.unit_price) >= 10000000000000",
            "order_missing": "o.rowid is null",
            "product_missing": "p.rowid is null",
        },
    ),
    "inventory": Rules(
        columns={
            "product_id": "ident(b.product_id)",
            "warehouse_id": "ident(b.warehouse_id)",
            "quantity_on_hand": "b.quantity_on_hand",
            "quantity_reserved": "b.quantity_reserved",
            "available": "b.quantity_on_hand - b.quantity_reserved",
            "reorder_point": "b.reorder_point",
        },
        reasons={"key_null": "{product_id} is null or {warehouse_id} is null"},
    ),
}
