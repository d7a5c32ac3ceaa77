"""What became of one order, and what changed between two published days: read from published versions, without Spark."""
