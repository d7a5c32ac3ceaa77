"""Brings a business date through bronze, silver and gold in one session.

spark-submit --properties-file spark-defaults.conf --py-files dist/lakehouse.zip jobs/day.py --date 2011-12-09
"""

from lakehouse.job import main

if __name__ == "__main__":
    main("day", __doc__)
