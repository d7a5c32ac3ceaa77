"""Pipelines that make the same gold of the same shop: each at its best settings, in an environment of its own.

A peer is written without a look into the lakehouse's transforms, so that two equal tables of gold prove something.
"""
