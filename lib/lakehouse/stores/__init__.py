"""The only room with effects: the lake (delta, reader), the source, gold (ddl), the ledger, Postgres and its embedded server."""
