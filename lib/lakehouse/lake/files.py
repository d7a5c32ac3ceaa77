"""Small files beside the tables, by Spark's own client of the store: what a folder holds, and texts read and written."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from py4j.java_gateway import JavaGateway, JavaObject
from py4j.protocol import Py4JJavaError
from pyspark.errors.exceptions.captured import CapturedException
from pyspark.sql import SparkSession

from lakehouse.errors import StoreError

MISSING = "java.io.FileNotFoundException"


@dataclass(frozen=True)
class Listed:
    """A file of a folder: its whole path, its bytes, and when it was last changed, in milliseconds since 1970."""

    path: str
    size: int
    changed: int


class Files:
    """Files of the lake's store, named by their whole path. What the store refuses is raised as Java raised it."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        return bool(self._system(path).exists(self.place(path)))

    def names(self, folder: str) -> list[str]:
        """The names of a folder's files and folders; none where there is no such folder."""
        try:
            # A list of folders, as its answer is an array of the common class, which py4j can hand on.
            folders = self._gateway.new_array(self.jvm.org.apache.hadoop.fs.Path, 1)
            folders[0] = self.place(folder)
            found = self._system(folder).listStatus(folders)
        except Py4JJavaError as e:
            if MISSING in kinds(e):
                return []
            raise
        if not len(found):
            return []
        # One call for all of them, as each name by itself would cost one: `{folder/a,folder/b}`.
        paths = self.jvm.org.apache.hadoop.fs.FileUtil.stat2Paths(found)
        joined = str(self.jvm.org.apache.commons.lang3.ArrayUtils.toString(paths))
        start = paths[0].getParent().toString() + "/"
        return joined[1:-1].removeprefix(start).split("," + start)

    def below(self, folder: str) -> list[Listed]:
        """Every file below a folder, at any depth; none where there is no such folder."""
        found: list[Listed] = []
        try:
            files = self._system(folder).listFiles(self.place(folder), True)
            while files.hasNext():
                file = files.next()
                found.append(Listed(file.getPath().toString(), file.getLen(), file.getModificationTime()))
        except Py4JJavaError as e:
            if MISSING not in kinds(e):
                raise
        return found

    def read(self, path: str) -> str | None:
        """A file's text; None where there is no such file."""
        try:
            stream = self._system(path).open(self.place(path))
            try:
                return str(self.jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
            finally:
                stream.close()
        except Py4JJavaError as e:
            if MISSING in kinds(e):
                return None
            raise

    def write(self, path: str, text: str) -> None:
        """Makes a file, or replaces it: at any moment it is the old one or the new one, whole."""
        self._put(path, text, replace=True)

    def write_new(self, path: str, text: str) -> bool:
        """Makes a file that is not there yet, whole; False, and nothing done, where it is.

        On s3a the store itself decides (conditional create), so of two writers at once one is told False. On a file system
        it is looked for again just before the rename, as Delta does for its commits there.
        """
        if self.exists(path):
            return False
        try:
            self._put(path, text, replace=False)
        except Py4JJavaError as e:
            if any(k.endswith(("FileAlreadyExistsException", "RemoteFileChangedException")) for k in kinds(e)):
                return False
            raise
        return True

    def delete(self, path: str) -> None:
        """Deletes one file; nothing where it is gone already."""
        self._system(path).delete(self.place(path), False)

    def delete_folder(self, path: str) -> None:
        """Deletes a folder with all that is in it; nothing where it is gone already."""
        self._system(path).delete(self.place(path), True)

    def place(self, path: str) -> JavaObject:
        """A path as Hadoop knows it."""
        return self.jvm.org.apache.hadoop.fs.Path(path)

    def _put(self, path: str, text: str, *, replace: bool) -> None:
        if self.place(path).toUri().getScheme() == "file":
            return self._put_beside(path, text, replace=replace)
        builder = self._system(path).createFile(self.place(path)).recursive().overwrite(replace)
        if not replace:
            # A hint: a store that knows no conditional create takes no notice of it.
            builder = builder.opt("fs.option.create.conditional.overwrite", "true")
        stream = builder.build()
        try:
            stream.write(bytearray(text.encode()))
        finally:
            # On s3a the file is not there before this, and then it is there whole.
            stream.close()

    def _put_beside(self, path: str, text: str, *, replace: bool) -> None:
        """Writes a file beside, then renames it: a driver that is killed meanwhile leaves no half of it under its name."""
        nio = self.jvm.java.nio.file
        target = nio.Paths.get(self.place(path).toUri())
        folder, name = target.getParent(), target.getFileName().toString()
        beside = folder.resolve(f".{name}.{uuid.uuid4().hex}")
        nio.Files.createDirectories(folder, self._array(nio.attribute.FileAttribute))
        option = nio.StandardOpenOption
        try:
            nio.Files.write(
                beside, bytearray(text.encode()), self._array(nio.OpenOption, option.CREATE_NEW, option.SYNC)
            )
            # Of Hadoop's own, for another text.
            nio.Files.deleteIfExists(folder.resolve(f".{name}.crc"))
            # Without an option a move refuses to replace what is there.
            move = self._array(nio.CopyOption, *([nio.StandardCopyOption.ATOMIC_MOVE] if replace else []))
            nio.Files.move(beside, target, move)
        finally:
            nio.Files.deleteIfExists(beside)

    def _array(self, kind: JavaObject, *members: JavaObject) -> JavaObject:
        """An array, which Java takes for any number of parameters."""
        made = self._gateway.new_array(kind, len(members))
        for i, member in enumerate(members):
            made[i] = member
        return made

    def _system(self, path: str) -> JavaObject:
        return self.place(path).getFileSystem(self.conf)

    @cached_property
    def jvm(self) -> JavaObject:
        """The session's JVM."""
        return self._spark._jvm

    @cached_property
    def _gateway(self) -> JavaGateway:
        return self._spark.sparkContext._gateway

    @cached_property
    def conf(self) -> JavaObject:
        """Hadoop's options of the session, which decide how the store is reached."""
        return self._spark._jsparkSession.sessionState().newHadoopConf()


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
