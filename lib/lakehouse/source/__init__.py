"""The shop's database, only ever read.

postgres   one snapshot of it: counts and frames of windows and late rows
windows    which rows a window brings and which are late, as SQL
position   where a window was read: snapshot, server, relations
carried    how a value crosses to Spark
deletes    which keys that are held no row of it has any more
drift      every difference between a table and its contract
"""
