# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Raw disks: the file is the disk."""

from typing import Iterator, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskReader


class RawReader(DiskReader):
    """A raw disk, or the first `virtual_size` bytes of a file that are one. Holes are not read."""

    format = "raw"

    def extents(self) -> Iterator[Tuple[int, int]]:
        return self.file.data_extents(self.virtual_size)

    def read_into(self, offset: int, view: memoryview) -> None:
        self.check_bounds(offset, len(view))
        self.file.read_into(offset, view)
