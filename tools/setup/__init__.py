"""What `make setup` and its sisters install: environments, jars, and programs that are built here."""
