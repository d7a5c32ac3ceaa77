"""Backups of ledger, gold and lake as of one moment, and the way back to any second of them. Without Spark.

kept        where backups are, what each says of itself, the lake's files in them
clients     Postgres' own programs
postgres    the living server: one moment of it, base backup, archive of its log, dump
backup      the order of a backup
cluster     a server that is brought to one moment in a folder of its own
install     what was restored takes the place of what is there
restore     the plan of a restore, and its order
objects     files of the lake that are gone, one by one
trial       a restore for trial, held against the manifest
"""
