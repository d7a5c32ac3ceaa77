"""Backs ledger, gold and lake up as of one moment, and lets the oldest backups go.

spark-submit --properties-file spark-defaults.conf --py-files dist/lakehouse.zip jobs/backup.py
"""

from lakehouse.job import main

if __name__ == "__main__":
    main("backup", __doc__)
