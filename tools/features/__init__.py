"""Feast on the feature tables: its registry, its definitions and the online store of the newest day."""
