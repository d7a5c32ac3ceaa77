"""The ledger: schema `ops` of the gold database, the only memory between runs.

ledger     runs, published versions, windows, quality results
failures   what an alert says of a failed run
run_list   what the front page of Data Docs lists
schema/    the numbered migrations of `ops`
"""
