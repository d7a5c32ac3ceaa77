"""Commands for those who train models on what is published."""
