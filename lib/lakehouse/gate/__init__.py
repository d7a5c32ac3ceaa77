"""The gate before each layer's publish: a table's suite, judged by what was counted of a frame.

gate                 structural rules of the contract and business rules of the suite, their counts and their verdict
measures             what must be counted, as aggregates, and the one query that counts it
rules                a rule as Great Expectations takes it, and the names of its counts
great_expectations   the only file that knows the library: imported late, given counts only
late                 the same, imported by a thread of its own before the first check
findings             what a rule said, and the refusal of a run whose critical rules failed
"""
