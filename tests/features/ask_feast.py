"""Run by Feast's own environment: what the offline and the online store say of one customer, as JSON."""

import json
import sys

import pandas as pd
from feast import FeatureStore

FEATURES = [
    "customer_daily:orders_total",
    "customer_daily:gross_sales_total",
    "customer_daily:average_days_between_orders",
]


def main(repository: str, *moments: str) -> None:
    store = FeatureStore(repo_path=repository)
    rows = [(customer, pd.Timestamp(moment)) for customer, moment in (m.split("@") for m in moments)]
    asked = pd.DataFrame(rows, columns=["customer_id", "event_timestamp"])
    offline = store.get_historical_features(entity_df=asked, features=FEATURES).to_df()
    offline["event_timestamp"] = offline["event_timestamp"].astype(str)
    customers = [{"customer_id": c} for c in dict.fromkeys(asked["customer_id"])]
    online = store.get_online_features(features=FEATURES, entity_rows=customers).to_dict()
    sys.stdout.write(json.dumps({"offline": json.loads(offline.to_json(orient="records")), "online": online}))


if __name__ == "__main__":
    main(*sys.argv[1:])
