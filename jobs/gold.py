"""Publishes gold for a business date that silver has published.

spark-submit --properties-file spark-defaults.conf --py-files dist/lakehouse.zip jobs/gold.py --date 2011-12-09
"""

from lakehouse.job import main

if __name__ == "__main__":
    main("gold", __doc__)
