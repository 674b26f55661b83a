# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Changes of text files: planned first, shown as a diff, then made."""

import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError

_MAX_TEXT = 4 << 20


class FileChange(NamedTuple):
    """A text file that is to have another content; `before` is None when it is not there yet."""

    path: str
    before: Optional[str]
    after: str


def text_of(root: LiveRoot, path: str) -> Optional[str]:
    """The content of a text file, links followed; None when there is none."""
    info = root.stat(path)
    if info is None or info.kind != "file":
        return None
    if info.size > _MAX_TEXT:
        raise GuestError("{0}: is {1} bytes long and no file of settings".format(path, info.size))
    return root.read(path, _MAX_TEXT).decode("utf-8", "surrogateescape")


def change_of(root: LiveRoot, path: str, after: str) -> List[FileChange]:
    """The change that gives a file this content; none when it has it."""
    before = text_of(root, path)
    return [] if before == after else [FileChange(path, before, after)]


def make_changes(root: LiveRoot, changes: Sequence[FileChange]) -> None:
    """Give each file its new content in one step, the file behind a link rather than the link."""
    for change in changes:
        path = root.resolve(change.path, follow=True) or change.path
        os.makedirs(os.path.dirname(root.on_host(path)), exist_ok=True)
        root.write(path, change.after.encode("utf-8", "surrogateescape"))


def diff_of(changes: Sequence[FileChange]) -> List[Dict[str, Any]]:
    """The changes as Ansible shows differences."""
    return [
        {
            "before_header": change.path,
            "after_header": change.path,
            "before": _printable(change.before or ""),
            "after": _printable(change.after),
        }
        for change in changes
    ]


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
