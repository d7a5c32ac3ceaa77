"""Commands about the data of single persons."""
