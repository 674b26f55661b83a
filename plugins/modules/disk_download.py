#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: disk_download
short_description: Download a disk from Azure into a file
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Downloads a managed disk, a snapshot, a VHD in a page blob, a disk of a gallery image version or of a
    managed image into a local fixed VHD, raw or qcow2 file.
  - Only what was ever written to the disk is fetched, by several connections at once; the file is sparse.
  - Access to a managed disk or snapshot is granted for the download and revoked on every way out.
  - A gallery image version gives no access to its disks. A temporary managed disk is made of it, with the
    tags C(goldenimage_temporary) and C(goldenimage_expires), and removed on every way out. What a killed run
    left is removed by the next.
  - Of a managed image, the disk or snapshot that it was made from is downloaded, if that still exists.
  - What comes is written to O(path) with C(.part) behind its name and is checked against the MD5 that the
    service tells for each range. When all of it is there, the file is read again as a disk and held against
    those MD5s, and only then gets its name.
  - A download that was interrupted or killed is gone on with by the next run of the same task. The file with
    C(.part.journal) behind its name says what has arrived; what it names is checked in the partial file. When
    there shall be no further run, remove both files by hand.
  - Beside the file, C(.origin.json) behind its name says of what it is a download. By that and the file's own
    content, which is read whole, a second run knows, without asking for access, that nothing is to be done. A
    file that M(goldenimage.azure.disk_upload) uploaded to the source is known by the source's tags or
    metadata.
  - Two downloads into one file exclude each other; the second one fails.
  - Where it runs on the controller, without C(become) and C(async), it shows every few seconds how far it is.
    Elsewhere, O(progress_file) tells it.
options:
  path:
    description: Path of the file to write, on the host the module runs on. It gets mode 0600. The directory
      must be there. Of a symbolic link, the file that it points to is written.
    type: path
    required: true
  format:
    description:
      - Format of the file.
      - By default it follows from the ending of O(path), V(.vhd) or V(.qcow2); all else is V(raw).
    type: str
    choices: [vhd, raw, qcow2]
  resource_group:
    description: Resource group of the disk, snapshot, image, gallery or storage account.
    type: str
  disk_name:
    description:
      - Name of a managed disk, which must not be attached to a running machine, and to which nobody else may
        have access.
      - Exactly one of O(disk_name), O(snapshot_name), O(image_name), O(gallery_name), O(storage_account) and
        O(sas_url) says what to download.
    type: str
  snapshot_name:
    description: Name of a snapshot.
    type: str
  image_name:
    description: Name of a managed image whose disks were made from managed disks or snapshots of the same
      subscription.
    type: str
  gallery_name:
    description: Name of a gallery, together with O(gallery_image).
    type: str
  gallery_image:
    description: Name of an image definition in the gallery.
    type: str
  gallery_image_version:
    description: Version of it. V(latest) is the highest that is not excluded from latest.
    type: str
    default: latest
  lun:
    description: Number of a data disk of an image. Without it the operating system disk is downloaded.
    type: int
  temporary_resource_group:
    description: Resource group for the temporary disk of a gallery image version. The default is
      O(resource_group).
    type: str
  storage_account:
    description: Name of a storage account, together with O(container) and O(blob).
    type: str
  container:
    description: Name of the container of the blob.
    type: str
  blob:
    description: Name of the page blob.
    type: str
  auth_mode:
    description:
      - How access to O(storage_account) is got. V(key) looks the account's key up, which needs
        O(resource_group) and the Python package azure-storage-blob.
      - V(login) uses the credential itself, which needs the role Storage Blob Data Reader.
    type: str
    choices: [key, login]
    default: key
  sas_url:
    description: URL of a page blob with a SAS that permits to read. No other credential is used.
    type: str
  connections:
    description: How many connections fetch at the same time at most, 1 to 12.
    type: int
    default: 8
  bandwidth_limit:
    description: How many bytes per second are fetched at most on average, by all connections together, for
      example V(20M). At least 100000. Each request fetches up to 4 MiB at once.
    type: bytes
  force:
    description: Whether a file at O(path) that is not known to be this disk is replaced. Without it, that is
      an error. The old file stays until the new one is complete.
    type: bool
    default: false
  progress_file:
    description:
      - File to which progress is appended as lines of JSON. C(phase) is C(receiving), C(checking) or, for a
        file that is there already, C(reading). C(done) and C(total) are bytes of what was written to the
        disk, C(sent) is how much has been received, C(resumed) how much had been received before, C(seconds)
        how long it took. It is created with mode 0600.
    type: path
  wait_timeout:
    description: How many seconds to wait for each of Azure's operations. The time for the download itself
      is not limited.
    type: int
    default: 1800
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.full
  - goldenimage.azure.attributes.action_group
notes:
  - A blob that is written to during its download is an error. A disk that somebody attaches to a machine
    cannot be written to as long as access to it is granted.
  - Free space for all that was ever written to the disk must be there at the beginning.
  - Where the service tells no MD5, the encrypted connection and the length alone guard the way; see
    RV(bytes_checked).
seealso:
  - module: goldenimage.azure.disk_upload
  - module: goldenimage.azure.disk_info
"""

EXAMPLES = r"""
- name: Download a managed disk as qcow2
  goldenimage.azure.disk_download:
    resource_group: images
    disk_name: web-os
    path: /var/lib/libvirt/images/web.qcow2

- name: Download a data disk of the newest version of a gallery image as a fixed VHD
  goldenimage.azure.disk_download:
    resource_group: images
    gallery_name: golden
    gallery_image: web
    lun: 0
    path: /srv/export/web-data.vhd

- name: Download a blob with nothing but a SAS
  goldenimage.azure.disk_download:
    sas_url: "{{ blob_url_with_sas }}"
    path: /srv/export/web.raw
"""

RETURN = r"""
file:
  description: The file; in check mode as far as it is known.
  returned: success
  type: dict
  contains:
    path:
      description: Where it is.
      type: str
      returned: always
      sample: /var/lib/libvirt/images/web.qcow2
    format:
      description: V(vhd), V(raw) or V(qcow2).
      type: str
      returned: always
      sample: qcow2
    virtual_size:
      description: Size of the disk in bytes; null in check mode for a gallery image version.
      type: int
      returned: always
      sample: 32213303296
    content_sha256:
      description: Digest of its content, as M(goldenimage.azure.disk_upload) has it; in check mode that of
        RV(source.content_sha256).
      type: str
      returned: always
source:
  description: What was downloaded.
  returned: success
  type: dict
  contains:
    kind:
      description: V(disk), V(snapshot), V(blob) or V(gallery image version).
      type: str
      returned: always
      sample: disk
    id:
      description: Resource id in lower case, of a blob its URL without a SAS.
      type: str
      returned: always
      sample: /subscriptions/xxxx-xxxx/resourcegroups/images/providers/microsoft.compute/disks/web-os
    content_sha256:
      description: What its tags or metadata say of its content; null without them, and for a disk that was
        attached to a machine.
      type: str
      returned: always
matches_upload:
  description: Whether the content is what RV(source.content_sha256) says; null when it says nothing or
    nothing was read. Content that differs is a warning.
  returned: success
  type: bool
bytes_received:
  description: How many bytes of the disk were fetched. 0 when the file was there already.
  returned: success
  type: int
  sample: 1587086336
bytes_checked:
  description: Of how many of them the service told the MD5.
  returned: success
  type: int
  sample: 1587086336
bytes_resumed:
  description: How many bytes an earlier run had fetched, that were taken over.
  returned: success
  type: int
  sample: 0
requests:
  description: In how many requests.
  returned: success
  type: int
  sample: 437
seconds:
  description: How long it took to fetch them.
  returned: success
  type: float
  sample: 13.4
actions:
  description: One sentence for each change.
  returned: success
  type: list
  elements: str
failure:
  description: What Azure said - code, message, target, status, request_id - and what to do, remedy.
  returned: failure
  type: dict
"""


from ansible_collections.goldenimage.azure.plugins.module_utils._module import (
    Outcome,
    azure_module,
    conclude,
    in_session,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_job import DownloadJob

_SOURCES = ("disk_name", "snapshot_name", "image_name", "gallery_name", "storage_account", "sas_url")


def main() -> None:
    module = azure_module(
        {
            "path": {"type": "path", "required": True},
            "format": {"type": "str", "choices": ["vhd", "raw", "qcow2"]},
            "resource_group": {"type": "str"},
            "disk_name": {"type": "str"},
            "snapshot_name": {"type": "str"},
            "image_name": {"type": "str"},
            "gallery_name": {"type": "str"},
            "gallery_image": {"type": "str"},
            "gallery_image_version": {"type": "str", "default": "latest"},
            "lun": {"type": "int"},
            "temporary_resource_group": {"type": "str"},
            "storage_account": {"type": "str"},
            "container": {"type": "str"},
            "blob": {"type": "str"},
            "auth_mode": {"type": "str", "choices": ["key", "login"], "default": "key"},
            "sas_url": {"type": "str", "no_log": True},
            "connections": {"type": "int", "default": 8},
            "bandwidth_limit": {"type": "bytes"},
            "force": {"type": "bool", "default": False},
            "progress_file": {"type": "path"},
            "wait_timeout": {"type": "int", "default": 1800},
        },
        required_one_of=[_SOURCES],
        mutually_exclusive=[_SOURCES],
        required_by={
            "disk_name": ("resource_group",),
            "snapshot_name": ("resource_group",),
            "image_name": ("resource_group",),
            "gallery_name": ("resource_group", "gallery_image"),
            "gallery_image": ("gallery_name",),
            "storage_account": ("container", "blob"),
            "container": ("storage_account",),
            "blob": ("storage_account",),
        },
    )

    def download() -> Outcome:
        job = DownloadJob(module.params, check_mode=module.check_mode)
        if module.params["sas_url"]:
            return job.run(None)
        return in_session(module, lambda _module, session: job.run(session))

    conclude(module, download)


if __name__ == "__main__":
    main()
