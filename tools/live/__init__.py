"""The programs of the live layer: their jars, and what each is started with."""
