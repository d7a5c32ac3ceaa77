"""Repairs and upkeep: what a person asks for when something went wrong, or when time has passed.

verify      holds log, versions, sums and gold against each other; changes nothing
rewind      takes bronze, silver, gold and ledger back to one published day
again       a day once more, quarantine once more, and rules that are waived
adopt       takes bronze runs that only the lake still knows into the ledger
maintain    joins small files, deletes what nobody needs any more
readable    whether a version can be read, and versions pinned so that they stay so

Each makes a plan first, which is data: the command prints it, a person agrees, and the plan is carried out.
"""
