"""Forgetting a customer: out of every store, with every copy of the past, and kept out from then on.

plan       who it is about, what the lakehouse holds of them, and what stands in the way
forget     READ THIS: the list first, then bronze, silver, gold, then the past of each table
objects    what a bucket with versions keeps of objects that were deleted
"""
