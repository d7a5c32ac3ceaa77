"""Errors of Java as the lake meets them: by the classes of an error and its causes, without a JVM."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from py4j.protocol import Py4JJavaError

AWAY = ("org.apache.hadoop.fs.s3a.AWSServiceIOException", "java.net.ConnectException")
DAMAGED = ("org.apache.spark.SparkException", "java.lang.RuntimeException")
GONE = ("org.apache.spark.SparkException", "java.io.FileNotFoundException")


class JavaError(Py4JJavaError):  # type: ignore[misc]
    """An error of Java's, by the classes of it and its causes."""

    def __init__(self, *classes: str) -> None:
        cause = None
        for name in reversed(classes):
            cause = SimpleNamespace(getClass=lambda name=name: SimpleNamespace(getName=lambda: name),
                                    getCause=lambda cause=cause: cause)  # fmt: skip
        Exception.__init__(self)
        self.java_exception = cause

    def __str__(self) -> str:
        return "a row's values"


def raising(error: Exception, *tables: str) -> Callable[..., Any]:
    """A look into the lake that fails at some tables, or at all where none is named."""

    def look(_: object, layer: str, table: str, *rest: object, **options: object) -> Any:
        if not tables or f"{layer}.{table}" in tables:
            raise error
        return 0

    return look
