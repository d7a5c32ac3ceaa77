"""Published tables: a pointer of the ledger, and the version of the lake it points at."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import Contract
from lakehouse.errors import LedgerError, NotYetError
from lakehouse.lake.delta import Lake
from lakehouse.records import Published


def frame(lake: Lake, layer: str, table: str, published: Published | None, contract: Contract | None) -> DataFrame:
    """A lake table at its published version; columns that its contract gained since are null in it.

    Raises NotYetError where nothing is published.
    """
    if published is None:
        raise NotYetError(f"{layer}.{table} has no published version yet; run the layer first")
    found = lake.read(layer, table, published.version)
    gained = [c for c in contract.columns if c.name not in found.columns] if contract else []
    return found.withColumns({c.name: F.lit(None).cast(c.spark_type) for c in gained}) if gained else found


def check_shape(contract: Contract, published: Published | None) -> None:
    """Raises LedgerError when a contract changed by more than new columns since the table was published."""
    if published is None:
        return
    changed = {n for n, kind in published.shape.items() if contract.shape.get(n) != kind}
    if contract.layer == "bronze":
        # An archive may stop bringing a column; what it has stays. Another type or key it cannot take.
        changed &= contract.shape.keys()
        if changed:
            raise LedgerError(f"the contract {contract.id} changed in {', '.join(sorted(changed))} since it was published; "
                              f"an archive is not rebuilt: set it back, or begin a new lake and gold database")  # fmt: skip
    if changed:
        raise LedgerError(f"the contract {contract.id} changed in {', '.join(sorted(changed))} since it was published, "
                          f"which only a rebuild can bring: lakehouse rebuild {contract.layer}")  # fmt: skip
