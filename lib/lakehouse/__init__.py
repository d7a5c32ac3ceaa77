"""A shop's day, from Postgres through bronze and silver to gold.

cli, job           two doors to the same calls: people and schedulers
explore            a third, for notebooks: published tables in Spark, DuckDB, Arrow
backfill           a range of days, planned and then run
pipeline           READ THIS FIRST: a day as three calls
layers             bronze, silver, gold: what a run of each does, step by step
house              what a run stands in: settings, contracts, stores, one session
silver, gold       one pure `transform` a table: what the table means
columns            the words the transforms share
contracts          what every table promises, loaded from conf/contracts
conform            makes a frame keep its contract
quality            rules, gates, Data Docs
stores             the only room with effects: lake, source, gold, ledger
session, settings, business_date, errors, log    the ground everything stands on
"""

__version__ = "0.1.0"
