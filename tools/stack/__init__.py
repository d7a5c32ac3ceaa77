"""The whole stack as plain processes: `make up`, `make down` and `make status`."""
