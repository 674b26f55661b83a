# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Drivers that modprobe.d(5) keeps from loading: hardened machines forbid what they do not use, and an
initramfs holds a copy of these files."""

import os
from typing import Collection, List

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.changes import (
    FileChange,
    change_of,
    text_of,
)

_RULES = "/etc/modprobe.d/*.conf"
_MARK = "# Not on Azure: "


def plan_allowed(root: LiveRoot, drivers: Collection[str]) -> List[FileChange]:
    """The changes that let these drivers load, named as the kernel writes them."""
    changes: List[FileChange] = []
    for path in root.glob(_RULES):
        lines = (text_of(root, path) or "").splitlines(True)
        allowed = [_MARK + line.lstrip() if _denies(line, drivers) else line for line in lines]
        if allowed != lines:  # there can be a link that leads nowhere
            changes.extend(change_of(root, path, "".join(allowed)))
    return changes


def allowed_after(root: LiveRoot, path: str) -> bool:
    """Whether drivers were allowed after a file was made, by a run that did not come to its end."""
    made = os.stat(root.on_host(path)).st_mtime
    return any(
        os.stat(root.on_host(rules)).st_mtime > made
        for rules in root.glob(_RULES)
        if _MARK in (text_of(root, rules) or "")
    )


def _denies(line: str, drivers: Collection[str]) -> bool:
    words = line.split()
    if len(words) < 2 or words[1].replace("-", "_") not in drivers:
        return False
    return words[0] == "blacklist" or (words[0] == "install" and words[-1].endswith(("/true", "/false")))
