"""The strongest pipeline on one machine that we could write without Spark: DuckDB with its Postgres scanner.

    bronze    Postgres, one snapshot -> Parquet, a partition of each table per day; rows and keys held against the source
    silver    the rules of the six tables -> the latest valid row of each key; what breaks a rule waits in quarantine
    gold      six tables, computed whole, in memory; their keys and sums are checked
    publish   into Postgres by COPY, keys and indexes after the rows, and all six changed in one transaction

A first load (`full`) makes everything from the source. A day (`day`) extracts by `updated_at`, adds a file to each table of
silver that changed, brings back what waits in quarantine, and recomputes gold whole. Days come in order; running a day
again is harmless.

It does less than the lakehouse: plain Parquet instead of Delta (no versions, no time travel), no deletes in a day, no
ledger, no lock, no views, no Data Docs; silver is not partitioned, values that a type cannot hold are not looked for, and
`upper` and `lower` are DuckDB's.
"""
