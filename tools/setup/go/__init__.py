"""Programs that are built from Go modules."""
