"""What the DAG files share. Parsing needs no pyspark: jobs run in the jobs' own environment.

jobs          a Spark job as a task: what it refuses, how it is submitted, which ends are tried again
dbt           a build of dbt as a task
sensors       the wait for the layer before
schedules     times, assets, defaults
run_date      the business date of a run
alerts        tells a person
task_logs     deletes what is old
"""
