# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The root file system without what is mounted over its directories: a file in a /tmp that has memory mounted
over it cannot be seen at that name, but is in the image."""

import contextlib
import os
from typing import Iterator

from ansible_collections.goldenimage.azure.plugins.module_utils._guest import services
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.host import STATE_DIR

_MOUNT_SECONDS = 30.0
# They are empty or hold names of devices, and no trace is in them.
_KERNEL = ("/proc", "/sys", "/dev", "/run")


@contextlib.contextmanager
def root_beneath_mounts(place: str = STATE_DIR + "/beneath") -> Iterator[str]:
    """The directory where the root file system alone can be seen as long as the block lasts.

    A bind mount takes no other mounts with it, see mount(8). When this is killed in the block, the mount
    stays and does no harm: it is of no other file system, and ends with the host.

    Raises GuestError when it cannot be mounted.
    """
    os.makedirs(place, mode=0o700, exist_ok=True)
    services.run(["mount", "--bind", "--make-private", "/", place], _MOUNT_SECONDS)
    try:
        yield place
    finally:
        services.run(["umount", place], _MOUNT_SECONDS)


def has_hidden(place: str, mounts: str = "/proc/self/mounts") -> bool:
    """Whether anything lies in directories of the root file system, seen at `place`, that others are mounted
    over. A mount over a file hides one, too."""
    with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
        points = {line.split(" ")[1].replace("\\040", " ") for line in file}
    for point in points:
        if point == "/" or any(point == top or point.startswith(top + "/") for top in _KERNEL):
            continue
        beneath = place + point
        if os.path.isfile(beneath) or (os.path.isdir(beneath) and os.listdir(beneath)):
            return True
    return False
