"""The same pipeline in pandas, with Arrow at its ends: what a data team writes first, in its best form.

    frames    Arrow tables <-> pandas frames: amounts as whole numbers of ten-thousandths, times as microseconds, exact
    words     clean text, identifiers, titles: Python only where a pattern says that a text is not clean yet
    bronze    Postgres by COPY -> Parquet, a partition of each table per day; rows and keys held against the source
    silver    the rules of the six tables -> the latest valid row of each key; what breaks a rule waits in quarantine
    gold      six tables, computed whole, in memory; into Postgres by COPY, all six changed in one transaction

A first load makes everything from the source. A day extracts by `updated_at`, brings back what waits in quarantine, upserts
silver in memory and writes its files again whole.

It does less than the lakehouse: plain Parquet instead of Delta (no versions, no time travel), no deletes, no ledger, no lock,
no views, no Data Docs; one process, and all of the shop has to fit into its memory.
"""
