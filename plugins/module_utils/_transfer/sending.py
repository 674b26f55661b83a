# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Send a disk and make sure that it arrived."""

from __future__ import annotations

import threading

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.progress import ProgressFile
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import Transfer
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.engine import OpenBlob, Sent, send
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.journal import Journal
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import Holds, Plan
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.verification import verify_ranges


def send_and_verify(
    reader: DiskReader,
    open_blob: OpenBlob,
    transfer: Transfer,
    progress: ProgressFile,
    *,
    journal: Journal | None,
    holds: Holds | None,
) -> tuple[Plan, Sent]:
    """Send the disk, then compare what the service says was written, unless nothing shall be verified."""
    plan, sent = send(reader, open_blob, transfer.connections, progress.sending, journal=journal, holds=holds)
    if transfer.verify != "none":
        blob = open_blob(threading.Event())
        try:
            verify_ranges(plan, blob)
        finally:
            blob.close()
    return plan, sent
