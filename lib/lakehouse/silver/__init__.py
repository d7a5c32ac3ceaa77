"""One module a silver table: `transform`, a pure function from bronze's images of the table to silver's columns."""
