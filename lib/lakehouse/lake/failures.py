"""What the store's own errors mean, in a sentence: the names of Java's classes decide, their messages are never read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError
from pyspark.errors.exceptions.captured import CapturedException

from lakehouse.errors import StoreError

# A database's driver wraps what broke its connection, which is no error of the lake.
OF_A_DATABASE = ("java.sql.", "org.postgresql.")
OF_THE_STORE = ("java.io.", "java.net.", "java.nio.file.", "org.apache.hadoop.fs.", "software.amazon.awssdk.")
EXISTS = "java.nio.file.FileAlreadyExistsException"
OF_ANOTHER_WRITER = ("io.delta.exceptions.", EXISTS)
NO_CONDITION = "lakehouse.ConditionalCreateLogStore$NoConditionalCreateException"
GONE = ("FileNotFoundException", "NoSuchFileException")
DEPTH = 20


def kinds(error: BaseException) -> list[str]:
    """The full class names of a Java error and of its causes, outermost first; none for an error of Python's own."""
    java = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    found: list[str] = []
    while java is not None and len(found) < DEPTH:
        found.append(str(java.getClass().getName()))
        java = java.getCause()
    return found


@contextmanager
def answering(root: str) -> Iterator[None]:
    """Raises StoreError, in one sentence, for what the store did not answer or refused while the body worked on the lake."""
    try:
        yield
    except (Py4JJavaError, CapturedException) as e:
        words = sentence(kinds(e), root)
        if words is None:
            raise
        raise StoreError(words) from None


def sentence(causes: list[str], root: str) -> str | None:
    """What to say of an error by its classes; None where they are not of the store."""
    if any(kind.startswith(OF_A_DATABASE) for kind in causes):
        return None
    if NO_CONDITION in causes:
        return (f"the store of the lake at {root} has no conditional create, without which two drivers overwrite each other's "
                f"commits: use a store that keeps If-None-Match; lakehouse doctor tells whether it does")  # fmt: skip
    if any(kind.startswith(OF_ANOTHER_WRITER) for kind in causes):
        return (f"another driver wrote to the same table of the lake at {root} ({_short(causes)}); nothing of this run is "
                f"published: find out who it is, then run again")  # fmt: skip
    of_store = [kind for kind in causes if kind.startswith(OF_THE_STORE)]
    if not of_store:
        return None
    if any(kind.endswith(GONE) for kind in of_store):
        return (f"a file of the lake at {root} is gone ({_short(of_store)}); rebuild the layer, or restore the lake from "
                f"its backup")  # fmt: skip
    return (f"the lake at {root} does not answer or refused ({_short(of_store)}); check LAKEHOUSE_LAKE, AWS_ENDPOINT_URL, "
            f"AWS_REGION, the credentials, that the bucket exists and that there is space, then run again")  # fmt: skip


def _short(causes: list[str]) -> str:
    """The last name of the outermost and of the innermost class."""
    return " of ".join(dict.fromkeys(kind.rsplit(".", 1)[-1].rsplit("$", 1)[-1] for kind in (causes[0], causes[-1])))
