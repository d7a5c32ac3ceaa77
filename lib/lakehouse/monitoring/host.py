"""What a scrape is told of the machine: the disk that the lakehouse's folder is on, memory, load and processor.

In a container these are the machine's, but for the disk, which is that of the folder as the container sees it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

from lakehouse.monitoring.questions import Family, family


def facts(folder: Path) -> Iterator[Family]:
    """Metrics of the machine; of a folder that is not there yet, those of the nearest one above that is."""
    there = next(f for f in (folder, *folder.parents) if f.exists())
    disk, memory, swap = shutil.disk_usage(there), psutil.virtual_memory(), psutil.swap_memory()
    for name, words, value in (
        ("lakehouse_disk_bytes", "Size of the disk that LAKEHOUSE_HOME is on", disk.total),
        ("lakehouse_disk_free_bytes", "Bytes that are free on it for the account of this process", disk.free),
        ("lakehouse_memory_bytes", "Memory of the machine", memory.total),
        (
            "lakehouse_memory_available_bytes",
            "Memory that programs could still have without swapping",
            memory.available,
        ),
        ("lakehouse_swap_used_bytes", "Memory that was swapped out", swap.used),
        ("lakehouse_processors", "Processors of the machine", os.cpu_count() or 1),
        ("lakehouse_load", "Processes that want a processor, over the last minute", psutil.getloadavg()[0]),
    ):
        yield _single(name, words, value)
    times = psutil.cpu_times()
    seconds = family("lakehouse_processor_seconds", "Seconds of all processors by what they did", ("mode",), "counter")
    for mode in ("user", "system", "idle"):
        seconds.add_metric([mode], getattr(times, mode))
    yield seconds


def _single(name: str, words: str, value: float) -> Family:
    found = family(name, words)
    found.add_metric([], value)
    return found
