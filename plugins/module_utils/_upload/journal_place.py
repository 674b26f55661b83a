# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Where the journal of an upload is."""

import hashlib
import os
import stat
from typing import Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.journal import Journal, open_journal

_LONGEST_NAME = 200


def find_journal(
    reader: DiskReader, target: str, folder: Optional[str], existing_only: bool
) -> Optional[Journal]:
    """The journal of this disk's upload into this target, locked; None where there is none and can be none.

    One that another process works with raises UploadError, a `folder` that cannot be written to DiskError.

    :param target: the id or URL of what is uploaded to
    :param folder: the folder of the disk file when it is None; a device has none in which files last
    """
    path = _path(reader, target, folder)
    if path is None or (existing_only and not os.path.exists(path)):
        return None
    journal = open_journal(path)
    if journal is None and folder is not None:
        raise DiskError(
            "journal_dir: no file can be written in {0}; name a folder that exists and can be "
            "written to".format(folder)
        )
    return journal


def forget_journal(reader: DiskReader, target: str, folder: Optional[str]) -> None:
    """Remove the journal of a completed upload; one that another process works with is left to that."""
    path = _path(reader, target, folder)
    if path is None or not os.path.exists(path):
        return
    try:
        journal = open_journal(path)
    except UploadError:
        return
    if journal is not None:
        journal.remove()


def _path(reader: DiskReader, target: str, folder: Optional[str]) -> Optional[str]:
    source = os.path.realpath(reader.path)
    if folder is None and stat.S_ISBLK(os.stat(source).st_mode):
        return None
    key = hashlib.sha256("{0}\n{1}".format(source, target).encode()).hexdigest()[:16]
    name = ".{0}.{1}.upload".format(os.path.basename(source)[:_LONGEST_NAME], key)
    return os.path.join(os.path.dirname(source) if folder is None else folder, name)
