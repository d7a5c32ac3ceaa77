"""The only room with effects: the lake (delta), the source, gold, the ledger, and the embedded server."""
