"""dbt on gold: its role and environment, what a build has made, and the page of the marts."""
