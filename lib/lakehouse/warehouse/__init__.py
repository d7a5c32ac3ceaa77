"""Gold's database: tables made from contracts, staged, verified and published in one transaction.

gold      rights, publish, statistics
staging   tables of one run: loaded over JDBC, verified, dropped
ddl       Postgres tables from gold's contracts, changed only where a contract says what a table does not
patience  waiting for a table that somebody holds, with a word and an end
marts     materialised views over gold, one file each
"""
