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
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import make_plan

FORMATS = ("vhd", "raw", "qcow2")


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


def content_of(path: str, disk_format: str) -> Content:
    """Read a disk file whole; a bad one raises DiskError."""
    with open_written(path, disk_format) as reader:
        return Content(reader.virtual_size, make_plan(reader).content_sha256)


class LocalFile:
    """The place of a download: `path`, and beside it the partial file, the journal and the origin."""

    def __init__(self, path: str, disk_format: str) -> None:
        self.path = path
        self.format = disk_format
        self.part = f"{path}.part"
        self.journal = f"{path}.part.journal"
        self._file = Path(path)
        self._folder = self._file.absolute().parent
        self._origin = Path(f"{path}.origin.json")

    def check(self) -> None:
        """Refuse a place where no file can be written; raises InvalidInput."""
        folder = self._folder
        if self._file.is_dir():
            raise InvalidInput(
                f"path: {self.path} is a directory.", remedy="Give the path of the file to write."
            )
        if os.path.lexists(self.path) and not self._file.is_file():
            raise InvalidInput(f"path: {self.path} exists and is no regular file.")
        if not folder.is_dir():
            raise InvalidInput(f"path: there is no directory {folder}.", remedy="Create it first.")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InvalidInput(
                f"path: {folder} may not be written by user id {os.geteuid()}.",
                remedy="Change its permissions or use become.",
            )

    def exists(self) -> bool:
        """Whether the finished file is there."""
        return self._file.is_file()

    def content(self) -> Content | None:
        """What the file holds; None when it is no sound disk of the format."""
        try:
            return content_of(self.path, self.format)
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
        except OSError:
            os.close(fd)
            raise AzureError(f"Another download to {self.path} is under way.", code="InUse") from None
        return fd

    def forget_useless_part(self) -> None:
        """Remove a partial file that nothing is to be gone on with."""
        if not Path(self.journal).exists():
            Path(self.part).unlink(missing_ok=True)

    def check_space(self, needed: int) -> None:
        """Refuse a download that the file system has no room for."""
        status = os.statvfs(self._folder)
        free = status.f_bavail * status.f_frsize
        if needed > free:
            raise InvalidInput(
                f"path: the download needs {needed} bytes, but only {free} are free in {self._folder}.",
                remedy="Make room, or give a path on another file system.",
            )

    def finish(self, origin: Mapping[str, Any]) -> None:
        """Put the partial file in the place of the finished one, and its origin beside it."""
        # Without an origin the old file's could be taken for the new one's.
        self._origin.unlink(missing_ok=True)
        Path(self.part).replace(self._file)
        new = Path(f"{self._origin}.new")
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump(dict(origin), file, indent=1, sort_keys=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._origin)
        Path(self.journal).unlink(missing_ok=True)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
