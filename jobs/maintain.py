"""Keeps the lake and the ledger small: compacts files and deletes what nobody needs any more.

spark-submit --properties-file spark-defaults.conf --py-files dist/lakehouse.zip jobs/maintain.py
"""

from lakehouse.job import main

if __name__ == "__main__":
    main("maintain", __doc__)
