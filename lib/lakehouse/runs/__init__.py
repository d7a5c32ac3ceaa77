"""What a person or a scheduler asks for, as calls of the layers.

day        READ THIS FIRST: a day as three calls
backfill   a range of days, planned and then run
rebuild    a layer made again from the one before
dry_run    what a run would do: the plans that runs carry out
"""
