"""The six tables of the source as every peer reads them."""

_COLUMNS = {
    "customers": "customer_id first_name last_name email phone city state country",
    "products": "product_id product_name category brand price cost is_active",
    "campaigns": "campaign_id campaign_name channel start_date end_date budget",
    "orders": "order_id customer_id campaign_id status ordered_at",
    "order_items": "order_item_id order_id product_id quantity unit_price discount unit_cost",
    "inventory": "product_id warehouse_id quantity_on_hand quantity_reserved reorder_point",
}
SOURCE = {table: (*names.split(), "created_at", "updated_at") for table, names in _COLUMNS.items()}
KEYS = {table: names[:2] if table == "inventory" else names[:1] for table, names in SOURCE.items()}
