"""What data must be, and whether it is.

suites, expectations   the business rules of each table, read from expectations/<layer>/<table>.json
rules                  the same rules, and those of the contract, as Spark columns: why a row goes to quarantine
verdicts               what becomes of each image: kept, deduplicated, or open in quarantine
gate, findings         runs a table's suite on a frame, and says what failed, in counts
native                 the only file that knows Great Expectations: imported late, asked for counts only
docs                   Data Docs: pages of every run that need no network
"""
