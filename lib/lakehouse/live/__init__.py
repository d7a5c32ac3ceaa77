"""What came since the last night: six Delta tables under `live/`, kept by a stream that the night never waits for.

events    what Debezium says of a change, as a row of the contract
merge     one batch of changes into one live table
stream    the query from Kafka to the tables
reset     after a night: what it has brought is deleted here
status    how far the stream is, and what today is so far
place     the folder of how far the stream is, and its lock
source    what the source's owner makes for it
settings  where Kafka is, and how often a batch begins
"""

LAYER = "live"
# What an event calls a TRUNCATE, and a live table the row without a key that it leaves.
TRUNCATED = "t"
