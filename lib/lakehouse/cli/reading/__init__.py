"""Commands that tell people what is published, and change nothing."""
