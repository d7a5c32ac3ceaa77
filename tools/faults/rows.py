"""The faults that are injected for real, and the promises that hold all the same."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One fault: when it comes, by which injector, and what is expected."""

    number: str
    fault: str
    when: str
    injector: str
    expected: str


PROMISES = {
    "P1": ("Convergence", "Any kills and retries end at the content of a clean run, by a hash over business columns in any order."),
    "P2": ("Nothing lost or doubled", "Rows read = held + gone + open; keys are unique; what commits late comes with the next run."),
    "P3": ("Audited versions only", "Readers see only versions that passed their gate; the tables of a layer move together."),
    "P4": ("The log", "A table's Delta log is contiguous, one file per version, and never overwritten."),
    "P5": ("Gold as one", "A failed gate or run never changes gold, which moves as one set."),
    "P6": ("Every failure is told", "It leaves a row of the ledger with its code and a clear message, and from Airflow one alert."),
    "P7": ("Nothing is given away", "No secret and no personal value is in a log, a page, the ledger or an error."),
}  # fmt: skip

INJECTORS = {
    "FP": ("A proxy between s3a and MinIO that answers, delays, cuts, resets or forgets by method and key, and calls a "
           "function at the exact request.", "tests/faults/proxy.py"),
    "TP": ("A proxy of Postgres' protocol that acts at the commit of a given transaction.", "tests/faults/wire.py"),
    "SIG": ("SIGKILL, SIGSTOP and SIGCONT of processes of our own.", "tests/faults/world.py"),
    "DISK": ("A small file system in memory, filled to its last byte.", "tests/faults/servers.py"),
    "PG": ("An immediate stop of a server of our own, a backend that is terminated.", "tests/faults/servers.py"),
    "CG": ("A control group whose memory limit is pulled down to what is used; the kernel then kills the JVM.",
           "tests/faults/test_memory.py"),
    "FT": ("A preloaded clock that is off, or jumps, for Python and Java alike.", "tests/faults/shifted_clock.c"),
}  # fmt: skip

ROWS = [
    Row("F1", "Driver killed", "extract, before any commit", "SIG", "Orphan files only; the retry gives P1."),
    Row("F2", "Driver killed", "after data files, before the log entry", "FP, SIG", "The version is absent; the retry gives P1."),
    Row("F3", "Driver killed", "after the log entry reached the store", "FP, SIG", "The version is there once; the retry gives P1, P2."),
    Row("F4", "Reply to a commit lost", "commit", "FP", "Exactly one version, no row doubled, the job succeeds."),
    Row("F5", "503, one to five times", "every class of call", "FP", "Success, only slower."),
    Row("F6", "500 or 503 for ever", "read, write, commit", "FP", "Fails within a set time with a clear error; P5."),
    Row("F7", "Body reset or truncated", "read of Parquet", "FP", "Retried or failed, never short data."),
    Row("F8", "MinIO killed and restarted", "while it is written to", "FP, SIG", "The retry gives P1."),
    Row("F9", "Driver stopped, continued once the retry has committed", "commit", "SIG", "The late commit is refused or undone; P2, P3, P4."),
    Row("F10", "Two drivers, one table, 50 rounds", "commit", "FP", "A serial history, no version lost; Delta's own log store fails the same rounds."),
    Row("F11", "Out of memory", "aggregate", "CG", "The layer fails; the retry gives P1."),
    Row("F12", "Disk full at the store", "write, commit", "DISK", "Failure, the old version is readable; with room again P1."),
    Row("F13", "Disk full at Postgres", "load of gold", "DISK", "Rolled back, gold unchanged, an alert."),
    Row("F14", "Source stopped", "extract", "FP, PG", "Fails; the retry gives P1. All tables of an extract come from one snapshot."),
    Row("F15", "Gold server restarted", "staging; publish", "PG, TP", "Staged again; all or nothing."),
    Row("F16", "Reply to COMMIT lost", "publish", "TP", "The ledger tells; nothing is applied twice."),
    Row("F17", "Backend of the lease terminated", "while data are written", "PG, FP", "The write under way may land, unseen; nothing more is committed, nothing published; the retry gives P1."),
    Row("F18", "Scheduler, triggerer, DAG processor killed", "while tasks run and wait", "SIG", "The day goes on; no second publish."),
    Row("F19", "Upstream DAG failed", "sensor", "a real Airflow", "Downstream fails at once."),
    Row("F20", "Backfill of five days in random order beside the daily run", "all layers", "a process of its own", "The content of days in order."),
    Row("F21", "Late and changed rows for a past day", "silver, gold", "data", "Gold of that day is corrected."),
    Row("F22", "Schema drift: new, missing, retyped, renamed column", "gate of bronze", "data", "The contract's policy decides; nothing is half-written."),
    Row("F23", "Poisoned rows: nulls, duplicate keys, orphans, odd text, the DST hour", "gate of silver", "data", "Quarantined with reasons; the rest is published; sums add up."),
    Row("F24", "A gate fails", "publish", "data", "Published versions and gold unchanged, one alert, findings shown."),
    Row("F25", "Clock off or jumping, run at midnight", "all layers", "FT", "The business date comes by parameter."),
    Row("F26", "Revoked key, expired certificate, wrong host name", "start", "real certificates", "Refused with a clear message, no storm of retries, no secret shown."),
    Row("F27", "Object or log entry deleted", "at rest", "deletes in the store", "`lakehouse verify` names it; the restore makes the table readable."),
    Row("F28", "Data of Postgres lost", "recovery", "the data folder removed", "Restored to a given second; data lost and time taken are printed."),
]  # fmt: skip
NUMBERS = [row.number for row in ROWS]
