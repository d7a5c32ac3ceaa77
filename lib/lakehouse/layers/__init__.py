"""What a run of each layer does inside of the frame.

bronze, bronze_gate   one snapshot of the source -> a partition of each bronze table
archive               what a rewind set aside of bronze comes back by itself
silver, silver_gate   new and open images -> the latest valid state of each key, the rest in quarantine
gold                  published silver -> tables in Postgres, changed in one transaction
"""
