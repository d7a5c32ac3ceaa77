"""One module a gold table: `transform`, a pure function whose argument names are its inputs.

A name with gold's prefix (`fact_daily_sales`) is the gold table just built, any other a table of silver, and
`business_date` the day the tables are as of. Sums stay wide in here; the contract's type is given when they are published.
"""
