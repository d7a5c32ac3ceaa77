"""What a run does, in order.

day         READ THIS FIRST: a day as three calls
bronze      one snapshot of the source -> a partition of each bronze table
silver      new and open images -> the latest valid state of each key, the rest in quarantine
gold        published silver -> six tables in Postgres, changed in one transaction
backfill    a range of days, planned and then run
"""
