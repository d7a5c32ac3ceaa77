"""Commands of the live layer."""
