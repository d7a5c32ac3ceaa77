"""Which products were in an order: gold does not hold it, so the lines that sold a unit come from silver.

From the very version that the published gold was made of, so that a basket and its order are of one moment. Loaded again
only when that version is another; without Spark, and without a column that names anybody.
"""

from __future__ import annotations

import io
from contextlib import closing

import pyarrow
import pyarrow.csv
import pyarrow.dataset

from lakehouse.database import Database
from lakehouse.lake import arrow
from lakehouse.ledger import Ledger
from lakehouse.settings import Settings
from lakehouse.warehouse.ddl import quoted
from tools.dbt.access import SCHEMA, as_dbt

TABLE = f"{SCHEMA}.order_lines"
COLUMNS = ("order_id", "product_id")
SOLD = pyarrow.dataset.field("quantity") > 0
# No value is null, and an empty text is not to be read as one.
QUOTED = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")


def load(settings: Settings, database: Database, version: int) -> int | None:
    """Loads the lines of a version of silver.order_items; how many, or None where they were there.

    Raises StoreError where the version cannot be read.
    """
    # After a restore the same number may be another version: the ledger then has another identity.
    source = (
        f"Lines of orders that sold a unit, from version {version} of silver.order_items by the ledger "
        f"{Ledger(database).identity()}"
    )
    with as_dbt(database) as cursor:
        cursor.execute(f"create table if not exists {TABLE} (order_id text not null, product_id text not null)")
        cursor.execute("select obj_description(to_regclass(%s), 'pg_class')", (TABLE,))
        if cursor.fetchone() == (source,):
            return None
        cursor.execute(f"truncate {TABLE}")
        lines = arrow.dataset(settings, "silver", "order_items", version, lambda _: [*COLUMNS, "quantity"])
        rows = 0
        with arrow.reading("silver", "order_items", version):
            for batch in lines.scanner(columns=list(COLUMNS), filter=SOLD).to_batches():
                with closing(io.BytesIO()) as buffer:
                    pyarrow.csv.write_csv(batch, buffer, QUOTED)
                    buffer.seek(0)
                    cursor.copy_expert(f"copy {TABLE} ({', '.join(COLUMNS)}) from stdin with (format csv)", buffer)
                rows += batch.num_rows
        cursor.execute(f"comment on table {TABLE} is {quoted(source)}")
    return rows
