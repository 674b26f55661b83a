# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Send a plan and make sure that it arrived."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.progress import ProgressFile
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import Transfer
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.engine import Sent, send, verify
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import PageBlob
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import Plan


def send_and_verify(
    reader: DiskReader,
    plan: Plan,
    open_blob: Callable[[threading.Event], PageBlob],
    transfer: Transfer,
    progress: ProgressFile,
) -> Sent:
    """Send the plan, then compare what the service says was written, when that is wanted."""
    sent = send(plan, reader, open_blob, transfer.connections, progress.sending)
    if transfer.verify:
        blob = open_blob(threading.Event())
        try:
            verify(plan, blob)
        finally:
            blob.close()
    return sent
