"""A shop's day, from Postgres through bronze and silver to gold.

cli, ../../jobs    two doors to the same calls
pipeline           READ THIS FIRST: what a run of a layer does, step by step
silver, gold       one pure `transform` a table: what the table means
columns            the words the transforms share
contracts          what every table promises, loaded from conf/contracts
conform            makes a frame keep its contract
quality            rules, gates, Data Docs
stores             the only room with effects: lake, source, gold, ledger
session, settings, business_date, errors, log    the ground everything stands on
"""

__version__ = "0.1.0"
