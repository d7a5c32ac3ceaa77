"""Gold's database: tables made from contracts, staged, verified and published in one transaction.

gold   staging, verification, publish, materialised views
ddl    Postgres tables from gold's contracts
"""
