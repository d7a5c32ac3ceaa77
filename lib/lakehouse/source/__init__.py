"""The shop's database, only ever read.

postgres   one snapshot of it: counts and frames of windows and late rows
windows    which rows a window brings and which are late, as SQL
position   where a window was read: snapshot, server, relations
carried    how a value crosses to Spark
drift      every difference between a table and its contract
"""
