"""Makes .venv-airflow: the environment of the scheduler, apart from the jobs' because its Spark provider overwrites pyspark.

The DAGs read contracts and settings from the package; what they need of libraries is in the lock.
"""

from __future__ import annotations

from tools.setup.environment import Beside
from tools.setup.machine import exit_with_sentence

AIRFLOW = Beside("airflow", "airflow", "Airflow", "half a minute and 150 MB of downloads", is_editable=True)

if __name__ == "__main__":
    exit_with_sentence(AIRFLOW.make)
