"""The shop's database, only ever read.

postgres   one snapshot of it: windows, late rows, counts, frames
drift      every difference between a table and its contract
"""
