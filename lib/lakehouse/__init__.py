"""A shop's day, from Postgres through bronze and silver to gold.

runs               READ runs/day.py FIRST: a day as three calls; backfill, rebuild, dry run
layers             what a run of bronze, silver and gold does, step by step
features           what was known by the end of each day, for models
frame              the frame of every run: lock, restore, publish, and what comes afterwards
upkeep             repairs and maintenance
recovery           backups, and the way back to one moment
personal           what is done for one customer: forgetting
silver, gold       one pure `transform` per table: what the table means
columns            the words the transforms share
contracts          what every table promises, loaded from conf/contracts
conform, judging   what makes a frame keep its contract; rules and verdicts
source, lake, warehouse, ledger, gate, pages, server    the rooms with effects, one per kind of store
report, catalogue, history    what people are told of gold, of every table, of one order
monitoring         metrics, and how an alert reaches a person
wiring, parts      what a run stands in, and how it is made
cli, job, explore, airflow    the doors
errors, log, settings, business_date, records           the ground everything stands on

docs/architecture.md draws who may import whom; tests/test_house.py holds every import against it.
"""

__version__ = "0.1.0"
