"""How the lakehouse is run on a shop: by its own command line, with its own settings."""
