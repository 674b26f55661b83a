# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Our uploader as a process of its own, without Ansible: `python -m tests.benchmarks.ours DISK URL`.

It does all that the module disk_upload does for a page blob with a SAS: lease, journal, MD5 of every put,
comparison of the ranges, metadata. --without-md5 leaves the MD5 out, to compare with a bare socket writer.
"""

from __future__ import annotations

import argparse

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_target import BlobTarget
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.page_blob_upload import (
    PageBlobUpload,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import Transfer
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source_disk import LocalDisk
from ansible_collections.goldenimage.azure.plugins.module_utils._upload import scan
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import parse_blob_url
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import no_authorization
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.progress_file import ProgressFile


def leave_md5_out() -> None:
    """The pieces of a disk have zeros in place of their MD5 from now on."""
    no_digest = bytes(16)
    vars(scan)["md5"] = lambda _data: no_digest


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--without-md5", action="store_true")
    parser.add_argument("--connections", type=int, default=12)
    parser.add_argument("disk")
    parser.add_argument("url")
    options = parser.parse_args()
    if options.without_md5:
        leave_md5_out()
    reader = open_disk(options.disk, allow_unpartitioned=True)
    target = BlobTarget(parse_blob_url(options.url), no_authorization)
    transfer = Transfer(connections=options.connections, verify="ranges", force=False, check_mode=False)
    PageBlobUpload(LocalDisk(reader, transfer, ProgressFile(None)), target, transfer).run()


if __name__ == "__main__":
    main()
