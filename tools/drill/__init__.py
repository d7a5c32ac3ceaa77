"""`make drill`: loses what can be lost, and comes back to a chosen second.

place     a lakehouse of its own: a shop's server, a home, a MinIO with buckets that keep versions, a folder of backups
content   what gold and silver hold, as sums that do not depend on the order of rows
"""
