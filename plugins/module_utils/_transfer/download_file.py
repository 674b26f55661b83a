# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The local file of a download: what is there before, the partial file, and the finished one.

Beside the finished file lies `NAME.origin.json`: of what it is a download, and the digest of its
content. By both, a later run knows without any access to the disk in Azure that nothing is to be done.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.qcow2 import Qcow2Reader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.raw import RawReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import (
    DiskError,
    DiskReader,
    SourceFile,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd import FixedVhdReader, read_footer
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import Report, make_plan

FORMATS = ("vhd", "raw", "qcow2")
_LONGEST_SUFFIX = ".origin.json.new"


class Content(NamedTuple):
    """A disk file's content: its virtual size and the digest that disk_upload writes into tags, too."""

    virtual_size: int
    content_sha256: str


def format_of(path: str, wanted: str | None) -> str:
    """The format to write: what is wanted, else by the name's ending, else raw."""
    ending = Path(path).suffix.lower().lstrip(".")
    return wanted or (ending if ending in FORMATS else "raw")


def open_written(path: str, disk_format: str) -> DiskReader:
    """Open a file of a known format, whatever its content looks like; a bad one raises DiskError."""
    file = SourceFile(path)
    try:
        if disk_format == "vhd":
            return FixedVhdReader(file, read_footer(file))
        if disk_format == "qcow2":
            return Qcow2Reader(file, _no_parent)
        return RawReader(file, file.size)
    except BaseException:
        file.close()
        raise


def _no_parent(child: SourceFile, name: str, _declared: str | None) -> DiskReader:
    raise DiskError(f"{child.path}: needs another file, {name}")


class LocalFile:
    """The place of a download, and beside it the partial file, the journal and the origin.

    Attributes: `path` as it was given; `format`; `part` and `journal`, paths beside the file itself, which
    may be elsewhere when `path` is a symbolic link.
    """

    def __init__(self, path: str, disk_format: str) -> None:
        self.path = path
        self.format = disk_format
        self._file = os.path.realpath(path)
        self._folder = str(Path(self._file).parent)
        self.part = f"{self._file}.part"
        self.journal = f"{self._file}.part.journal"
        self._origin = Path(f"{self._file}.origin.json")

    def check(self) -> None:
        """Refuse a place where no file can be written; raises InvalidInput."""
        folder = self._folder
        # Not by pathlib: that raises for names that are too long.
        if os.path.isdir(self._file):  # noqa: PTH112
            raise InvalidInput(
                f"path: {self.path} is a directory.", remedy="Give the path of the file to write."
            )
        if os.path.lexists(self._file) and not self.exists():
            raise InvalidInput(f"path: {self.path} exists and is no regular file.")
        if not os.path.isdir(folder):  # noqa: PTH112
            raise InvalidInput(f"path: there is no directory {folder}.", remedy="Create it first.")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InvalidInput(
                f"path: {folder} may not be written by user id {os.geteuid()}.",
                remedy="Change its permissions or use become.",
            )
        name = Path(self._file).name
        longest = os.pathconf(folder, "PC_NAME_MAX") - len(_LONGEST_SUFFIX)
        if len(os.fsencode(name)) > longest:
            raise InvalidInput(f"path: {name} is too long a name.", remedy=f"Use at most {longest} bytes.")

    def exists(self) -> bool:
        """Whether the finished file is there."""
        return os.path.isfile(self._file)  # noqa: PTH113

    def content(self, progress: Report) -> Content | None:
        """What the file holds, read whole; None when it is no sound disk of the format."""
        try:
            with open_written(self._file, self.format) as reader:
                return Content(reader.virtual_size, make_plan(reader, progress=progress).content_sha256)
        except DiskError:
            return None

    def origin(self) -> dict[str, Any]:
        """What an earlier download put down; empty without it."""
        try:
            found = json.loads(self._origin.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def facts(self, virtual_size: int | None, content_sha256: str | None) -> dict[str, Any]:
        """The returned value `file`."""
        return {
            "path": self.path,
            "format": self.format,
            "virtual_size": virtual_size,
            "content_sha256": content_sha256,
        }

    def open_part(self) -> int:
        """Open or create the partial file, locked; another download that holds it is an error."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(self.part, flags, 0o600)
        except OSError as error:
            raise InvalidInput(f"path: {self.part} cannot be written: {error.strerror}.") from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another download may have finished this very file or removed it just before it was locked.
            mine = os.path.samestat(os.fstat(fd), Path(self.part).stat())
        except OSError:
            mine = False
        if not mine:
            os.close(fd)
            raise AzureError(
                f"Another download to {self.path} is under way.", code="InUse", remedy="Wait for its end."
            )
        return fd

    def forget_useless_part(self) -> None:
        """Remove a partial file that nothing is to be gone on with."""
        if not Path(self.journal).exists():
            Path(self.part).unlink(missing_ok=True)

    def check_space(self, needed: int) -> None:
        """Refuse a download that the file system has no room for.

        :param needed: bytes that the partial file needs; what it has of them already is counted off
        """
        status = os.statvfs(self._folder)
        free = status.f_bavail * status.f_frsize
        more = needed - Path(self.part).stat().st_blocks * 512
        if more > free:
            raise InvalidInput(
                f"path: the download needs {more} bytes, but only {free} are free in {self._folder}.",
                remedy="Make room, or give a path on another file system.",
            )

    def finish(self, origin: Mapping[str, Any]) -> None:
        """Put the partial file, all of which is on the storage, in the place of the finished one.

        Its origin is put down before, so that a run that is killed in between is gone on with. Of a file that
        is still there then the origin says nothing, as that has another content.
        """
        new = Path(f"{self._origin}.new")
        try:
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                json.dump(dict(origin), file, indent=1, sort_keys=True)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._origin)
            Path(self.part).replace(self._file)
            Path(self.journal).unlink(missing_ok=True)
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise DiskError(f"{self.path}: cannot be written: {error.strerror}") from None
