# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What a guest mounts: its fstab(5)."""

from typing import List, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import RootView

_MAX_FSTAB = 1 << 20


class Mount(NamedTuple):
    """A line of fstab. `source` is without quotation marks; `point` without a slash at its end."""

    source: str
    point: str
    kind: str
    options: List[str]


def read_fstab(root: RootView) -> List[Mount]:
    """The entries of /etc/fstab that have at least source, mount point and kind."""
    found = []
    for line in root.read("/etc/fstab", _MAX_FSTAB).decode("utf-8", "replace").splitlines():
        fields = line.split()
        if len(fields) < 3 or fields[0].startswith("#"):
            continue
        point = "/" + fields[1].strip("/") if fields[1].startswith("/") else fields[1]
        source = fields[0].replace('"', "").replace("\\040", " ")
        options = fields[3].split(",") if len(fields) > 3 else []
        found.append(Mount(source, point.replace("\\040", " "), fields[2], options))
    return found
