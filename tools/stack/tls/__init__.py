"""TLS of the stack: its CA, its certificates, and a front for the embedded server."""
