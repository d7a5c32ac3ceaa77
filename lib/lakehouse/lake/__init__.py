"""The lake: Delta tables on files or s3a.

delta      tables written by a day, a merge or whole, each commit stamped; heads, versions, restore
log        Delta's log as files: versions, what can be loaded, stamps
identity   which ledger the lake belongs to
maintain   compaction, vacuum and log clean-up that keep what is published
fence      whether Delta commits to s3a through our log store, and whether the store keeps its condition
files      small files of the store, and what the store's own errors mean
arrow      the same tables without a JVM, for notebooks and small tools
"""
