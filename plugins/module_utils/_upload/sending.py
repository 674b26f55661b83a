# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Send a disk and make sure that it arrived."""

import threading
from typing import NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import FOOTER_SIZE
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.engine import OpenBlob, Sent, send
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.journal import Journal
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import Holds, Plan, Report
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.ranges import Ranges
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.verification import verify_ranges


class Planned(NamedTuple):
    """A plan's figures, without the plan: bytes, and `puts` requests.

    See :class:`~ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan.Plan`.
    """

    content_sha256: str
    virtual_size: int
    bytes_read: int
    bytes_to_send: int
    puts: int
    bytes_held: int

    @property
    def blob_size(self) -> int:
        """The page blob's size: the disk and its footer."""
        return self.virtual_size + FOOTER_SIZE

    @property
    def all_held(self) -> bool:
        """Whether the target has everything but, perhaps, the footer."""
        return self.bytes_held == self.bytes_to_send - FOOTER_SIZE


def figures_of(plan: Plan) -> Planned:
    """What of a plan is told to others."""
    return Planned(*(getattr(plan, name) for name in Planned._fields))


def ranges_at(open_blob: OpenBlob) -> Ranges:
    """What is written by the service's word."""
    blob = open_blob(threading.Event())
    try:
        return Ranges(blob.page_ranges())
    finally:
        blob.close()


def verify_ranges_at(plan: Plan, open_blob: OpenBlob) -> None:
    """Compare what the service says was written; a difference raises UploadError."""
    blob = open_blob(threading.Event())
    try:
        verify_ranges(plan, blob)
    finally:
        blob.close()


def send_and_verify(
    reader: DiskReader,
    open_blob: OpenBlob,
    connections: int,
    report: Report,
    *,
    verify: bool,
    journal: Optional[Journal] = None,
    holds: Optional[Holds] = None,
) -> Tuple[Plan, Sent]:
    """Send the disk, then compare what the service says was written, unless `verify` is false."""
    plan, sent = send(reader, open_blob, connections, report, journal=journal, holds=holds)
    if verify:
        verify_ranges_at(plan, open_blob)
    return plan, sent
