"""Watching: what a scrape is told of ledger, Postgres and host, and how an alert reaches a person.

questions  a metric: its name, its labels, its words, and the statement that answers it
ledger     what is asked of the ledger
postgres   what is asked of the server that holds it
anomalies  whether a day is like the same weekdays before it
host       disk, memory and processor of this machine
collector  one scrape: all of the above in one read-only transaction
alerts     alerts as vmalert posts them: each told once, and once more when it is over
server     the two small web servers: metrics, alerts
"""
