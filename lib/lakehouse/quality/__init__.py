"""What data must be, and whether it is.

suites    the business rules of each table, read from expectations/<layer>/<table>.json
rules     the same rules, and those of the contract, as Spark columns: why a row goes to quarantine
gate      runs a table's suite in Great Expectations, late and cheaply, and says what failed
docs      Data Docs: pages of every run that need no network
"""
