"""Holds ledger, lake and gold against each other, and the newest backup, restored for trial, against its manifest.

spark-submit --properties-file spark-defaults.conf --py-files dist/lakehouse.zip jobs/verify.py
"""

from lakehouse.job import main

if __name__ == "__main__":
    main("verify", __doc__)
