"""Commands that serve what watches the lakehouse."""
