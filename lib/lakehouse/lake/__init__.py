"""The lake: Delta tables on files or s3a.

delta   tables written by a day, a merge or whole; heads, versions, restore
arrow   the same tables without a JVM, for notebooks and small tools
"""
