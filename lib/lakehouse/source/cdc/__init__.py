"""What changed at the source, by its own log: a replication slot that a night drains, in place of comparing keys.

Of every change the key alone is read. Rows are brought by their window as ever, in the run's snapshot: the slot says which
keys are gone, and which rows below the window were written however long ago they are stamped (ADR 0028).
"""
