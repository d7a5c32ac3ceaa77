"""Brings a business date from the source into bronze.

spark-submit --properties-file spark-defaults.conf --py-files dist/lakehouse.zip jobs/bronze.py --date 2011-12-09
"""

from lakehouse.job import main

if __name__ == "__main__":
    main("bronze", __doc__)
