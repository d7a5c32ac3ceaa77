"""The gate before each layer's publish: a table's suite, checked on a frame, as counts.

gate                 structural rules of the contract and business rules of the suite, checked in one query
great_expectations   the only file that knows the library: imported late, asked for counts only
late                 the same, imported by a thread of its own before the first check
findings             what a rule said, and the refusal of a run whose critical rules failed
"""
