"""Shopday: what a day of the lakehouse costs, beside others that do the same work on the same machine.

    shop/        a synthetic shop of any size, written into Postgres: the same rows for the same size and days
    place        the server, its databases, and the folder of each contestant
    contestant   what a pipeline that takes part has to answer
    ours/        the lakehouse as one, and how many SQL executions it took
    peers/       other pipelines with the same gold: duckdb and pandas
    measure/     wall, CPU and memory of a command with all its processes; the machine it ran on
    series       the order of runs: one at a time, rotated, each held against the others' gold
    parity       whether two golds are the same, to the last cell
    limits       what the machine can do at most
    report/      raw figures in results/, and the page made of them: benchmarks/README.md
    run          the command line: `python -m benchmarks`

docs/benchmark.md says what is measured, and what is fair.
"""
