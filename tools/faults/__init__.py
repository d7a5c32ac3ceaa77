"""Faults injected for real: the rows, the plugin that tells which tests held, and the page of the last run."""
