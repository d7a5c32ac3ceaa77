"""Backups and the way back to one moment.

backup    make one, list them, restore one for trial, delete old ones
restore   the lakehouse as of a moment; objects of the lake that are gone
"""
