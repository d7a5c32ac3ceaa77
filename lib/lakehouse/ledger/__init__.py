"""The ledger: schema `ops` of the gold database, the only memory between runs.

ledger       all of it as one object: what follows, side by side
migrations   the schema, numbered (schema/0001.sql …), applied once by a run under a lock
lease        a layer's lock, the connection that holds it, its heartbeat
runs         runs and how they end
windows      what bronze brought, what silver has judged of it
pointers     published versions and running sums
quality      results of rules, quarantine by reason, the words of a failure
past         values of repairs
repairs      what commands of repair ask and change
questions    how the ledger is asked
run_list     what the front page of the Data Docs lists
"""
