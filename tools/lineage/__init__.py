"""Which column is made of which: read from Spark's own plans of the transforms, and kept as conf/contracts/lineage.json."""
