# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Fixed VHD files: a raw disk with a footer of 512 bytes behind it."""

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.raw import RawReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, SourceFile
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import (
    DIFFERENCING,
    DYNAMIC,
    FIXED,
    FOOTER_SIZE,
    FooterError,
    parse_footer,
)

_REFUSED = {
    DYNAMIC: "is a dynamic VHD; make a fixed one of it: "
    "qemu-img convert -f vpc -O vpc -o subformat=fixed,force_size=on {0} fixed.vhd",
    DIFFERENCING: "is a differencing VHD, which needs its parent; merge them first "
    "(Hyper-V: Merge-VHD), then convert the result to a fixed VHD (Convert-VHD -VHDType Fixed)",
}


class FixedVhdReader(RawReader):
    """The disk in a fixed VHD file. Everything about the footer is checked when the file is opened."""

    format = "vhd"

    def __init__(self, file: SourceFile) -> None:
        data_size = file.size - FOOTER_SIZE
        try:
            footer = parse_footer(file.read_up_to(data_size, FOOTER_SIZE))
        except FooterError as error:
            raise DiskError(
                "{0}: {1}; the file is damaged: copy it again or export the disk once more".format(
                    file.path, error
                )
            ) from None
        if footer.disk_type in _REFUSED:
            raise DiskError("{0}: {1}".format(file.path, _REFUSED[footer.disk_type].format(file.path)))
        if footer.disk_type != FIXED:
            raise DiskError(
                "{0}: the VHD footer has disk type {1}, but only type 2 (fixed) can be read".format(
                    file.path, footer.disk_type
                )
            )
        if footer.current_size != data_size:
            raise DiskError(
                "{0}: the VHD footer says the disk has {1} bytes, but {2} bytes stand before the footer; "
                "the file is truncated or was put together wrongly: export the disk once more".format(
                    file.path, footer.current_size, data_size
                )
            )
        super().__init__(file, footer.current_size)
