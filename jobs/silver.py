"""Brings silver up to a business date that bronze has published.

spark-submit --properties-file spark-defaults.conf --py-files dist/lakehouse.zip jobs/silver.py --date 2011-12-09
"""

from lakehouse.job import main

if __name__ == "__main__":
    main("silver", __doc__)
