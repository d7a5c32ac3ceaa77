"""Gold's database: tables made from contracts, staged, verified and published in one transaction.

gold      rights, staging, verification, publish
ddl       Postgres tables from gold's contracts, changed only where a contract says what a table does not
patience  waiting for a table that somebody holds, with a word and an end
marts     materialised views over gold, one file each
"""
