"""The frame of every run: its lock, its plan, its publish, and what may come afterwards.

run          lock, row, body, publish on the lock's own connection; READ THIS for the order of a run
restore      before a run writes: lake and ledger belong together, heads are what is published
published    published frames by layer and table
held         keys that the lakehouse holds, and which of them are gone from the source
transforms   finds the transforms, their inputs, their order, and a digest of what they mean
"""
