"""What stands around the lakehouse on a machine; started as `python -m tools.…` in the checkout.

setup     makes the environments: packages, jars, classes, MinIO, the zip; needs only the standard library
stack     Postgres, MinIO, Airflow, Jupyter and the Data Docs as plain processes; `access` says who may do what,
          `tls` which certificates are shown and trusted
"""
