"""Small files beside the tables, by Spark's own client of the store: what a folder holds, and texts read and written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from py4j.java_gateway import JavaGateway, JavaObject
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from lakehouse.lake.failures import kinds

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
        """Makes a file, or replaces it."""
        self._put(path, text, replace=True)

    def write_new(self, path: str, text: str) -> bool:
        """Makes a file that is not there yet; False, and nothing done, where it is.

        On s3a the store itself decides (conditional create), so of two writers at once one is told False.
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
        builder = self._system(path).createFile(self.place(path)).recursive().overwrite(replace)
        if not replace:
            # A hint: a store that knows no conditional create takes no notice of it.
            builder = builder.opt("fs.option.create.conditional.overwrite", "true")
        stream = builder.build()
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()

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
