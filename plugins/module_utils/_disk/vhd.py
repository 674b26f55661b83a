# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""VHD files end with a footer; a fixed one is a raw disk before it."""

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.raw import RawReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, SourceFile
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import (
    FOOTER_SIZE,
    Footer,
    FooterError,
    parse_footer,
)


def read_footer(file: SourceFile) -> Footer:
    """The footer at the end of a VHD of any kind; a broken one raises :class:`DiskError`."""
    try:
        return parse_footer(file.read_up_to(max(0, file.size - FOOTER_SIZE), FOOTER_SIZE))
    except FooterError as error:
        raise DiskError(
            "{0}: {1}; the file is damaged: copy it again or export the disk once more".format(
                file.path, error
            )
        ) from None


class FixedVhdReader(RawReader):
    """The disk in a fixed VHD file. What stands before the footer has to be as long as the footer says."""

    format = "vhd"

    def __init__(self, file: SourceFile, footer: Footer) -> None:
        data_size = file.size - FOOTER_SIZE
        if footer.current_size != data_size:
            raise DiskError(
                "{0}: the VHD footer says the disk has {1} bytes, but {2} bytes stand before the footer; "
                "the file is truncated or was put together wrongly: export the disk once more".format(
                    file.path, footer.current_size, data_size
                )
            )
        super().__init__(file, footer.current_size)
        self.unique_id = footer.unique_id
