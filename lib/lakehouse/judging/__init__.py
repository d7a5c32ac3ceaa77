"""What a row must be to count, and what becomes of it.

suites, expectations   the business rules of each table, read from expectations/<layer>/<table>.json
rules                  the same rules, and those of the contract, as Spark columns: why a row goes to quarantine
tombstones             keys that were gone from the source, and which images that voids
verdicts               what becomes of each image: kept, deduplicated, removed, or open in quarantine
"""
