"""Shopday: what a day of the lakehouse costs, beside others that do the same work on the same machine.

    shop/      a synthetic shop of any size, written into Postgres: the same rows for the same size and days
    measure/   wall, CPU and memory of a command with all its processes; the machine it ran on
    ours/      how the lakehouse is run on a shop, and how many SQL executions it took
    peers/     other pipelines with the same gold: peers/duckdb
    place      the server, its databases and the folders of a series
    series     the order of runs: one at a time, rotated, each held against the others' gold
    limits     what the machine can do at most
    parity     whether gold is the same, to the last cell
    report     benchmarks/README.md, from the raw figures in results/
    run        the command line: `python -m benchmarks`

docs/benchmark.md says what is measured, and what is fair.
"""
