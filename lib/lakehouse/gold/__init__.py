"""One module a gold table: `transform`, a pure function whose argument names are its inputs.

A name with gold's prefix (`fact_daily_sales`) is the gold table just built, any other a table of silver, and
`business_date` the day the tables are as of. Sums stay wide in here; the contract's type is given when they are published.

A module may also say how its table follows a change: `units`, from the rows that changed (`changed_orders`: old and new
images of them) and the tables as they are now, gives the units to compute again, each frame of them in columns of the
table; `within` gives, for some units, the rows of the transform's arguments that these need, or more. Without them the
table is computed whole.
"""
