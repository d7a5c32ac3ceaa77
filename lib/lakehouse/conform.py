"""Makes a frame keep its contract: exactly its columns, in its types, or every difference named at once."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DecimalType

from lakehouse.columns import WARNING_PREFIX, warning
from lakehouse.contracts import Contract
from lakehouse.errors import ConfigError


def conformed(frame: DataFrame, contract: Contract) -> DataFrame:
    """The contract's columns in its types and order, its working columns too, then the frame's technical columns.

    A decimal that does not fit its type becomes null and is marked by a warning column (`_warn_<column>_out_of_range`).
    Raises ConfigError naming every column the transform left out or gave a type that is not a safe cast away.
    """
    types_found = {f.name: f.dataType for f in frame.schema}
    faults = [f"{c.name} is missing" for c in contract.stored if c.name not in types_found]
    selected, warnings = [], []
    for column in contract.stored:
        if column.name not in types_found:
            continue
        have, want = types_found[column.name].simpleString(), column.spark_type
        value = F.col(column.name)
        if isinstance(have_type := types_found[column.name], DecimalType) and column.numeric:
            narrow = value.try_cast(want)
            selected.append(narrow.alias(column.name))
            if have_type.precision - have_type.scale > column.numeric[0] - column.numeric[1]:
                warnings.append(warning(f"{column.name}_out_of_range", value.isNotNull() & narrow.isNull()))
        elif have == want or (have == "int" and (want == "bigint" or want.startswith("decimal"))):
            selected.append(value.cast(want).alias(column.name))
        else:
            faults.append(f"{column.name} is {have}, not {want}")
    if faults:
        raise ConfigError(f"the transform of {contract.id} does not keep its contract: " + "; ".join(faults))
    kept = {c.name for c in contract.working}
    technical = [c for c in frame.columns if c.startswith("_") and c not in kept]
    return frame.select(*selected, *technical, *warnings)


def warning_columns(frame: DataFrame) -> list[str]:
    """Names of the warning columns, which mark rows to be counted and warned of."""
    return [c for c in frame.columns if c.startswith(WARNING_PREFIX)]
