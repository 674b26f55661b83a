# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Changes of text files: planned first, shown as a diff, then made."""

import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError

_MAX_TEXT = 4 << 20
# Options of mounts (mount.cifs(8)) and arguments of kernels that hold a password, and settings of wireless
# networks in interfaces(5) and ifcfg(5).
_PASSWORD = re.compile(r"(?<![A-Za-z])(pass(?:word|wd|phrase)?2?=)[^\s,\"']+")
_WIRELESS = re.compile(
    r"^(\s*(?:wpa|wireless)[-_](?:\w+[-_])*(?:psk|password|passwd|key\w*)\s*[= ]\s*)\S.*$",
    re.IGNORECASE | re.MULTILINE,
)


class FileChange(NamedTuple):
    """A text file that is to have another content, or mode; None is the content of a file that is not there.

    :param mode: permission bits it is to have; None leaves those it has, or gives a new file 0644
    :param secret: the content before may hold secrets and is never shown
    """

    path: str
    before: Optional[str]
    after: Optional[str]
    mode: Optional[int] = None
    secret: bool = False


def text_of(root: LiveRoot, path: str) -> Optional[str]:
    """The content of a text file, links followed; None when there is none."""
    info = root.stat(path)
    if info is None or info.kind != "file":
        return None
    if info.size > _MAX_TEXT:
        raise GuestError("{0}: is {1} bytes long and no file of settings".format(path, info.size))
    return root.read(path, _MAX_TEXT).decode("utf-8", "surrogateescape")


def change_of(
    root: LiveRoot, path: str, after: Optional[str], mode: Optional[int] = None, secret: bool = False
) -> List[FileChange]:
    """The change that gives a file this content and mode, or removes it; none when it is so already."""
    before = text_of(root, path)
    info = root.stat(path)
    right_mode = mode is None or info is None or info.mode & 0o7777 == mode
    if before == after and right_mode:
        return []
    return [FileChange(path, before, after, mode, secret)]


def make_changes(root: LiveRoot, changes: Sequence[FileChange]) -> None:
    """Give each file its new content in one step, the file behind a link rather than the link."""
    for change in changes:
        if change.after is None:
            root.remove(change.path)
            continue
        path = root.resolve(change.path, follow=True) or change.path
        root.write(path, change.after.encode("utf-8", "surrogateescape"), change.mode)


def diff_of(changes: Sequence[FileChange]) -> List[Dict[str, Any]]:
    """The changes as Ansible shows differences."""
    return [
        {
            "before_header": change.path,
            "after_header": change.path,
            "before": _printable(change.before or "") if not change.secret else "(not shown)\n",
            "after": _printable(change.after or ""),
        }
        for change in changes
    ]


def result_of(changes: Sequence[FileChange], with_diff: bool) -> Dict[str, Any]:
    """What a module returns of changes that it makes or would make: `changed`, `files`, and the `diff`."""
    result: Dict[str, Any] = {"changed": bool(changes), "files": [change.path for change in changes]}
    if with_diff:
        result["diff"] = diff_of(changes)
    return result


def _printable(text: str) -> str:
    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _WIRELESS.sub(r"\1(not shown)", _PASSWORD.sub(r"\1(not shown)", shown))
