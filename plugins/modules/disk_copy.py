#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: disk_copy
short_description: Copy a disk within Azure, between accounts, kinds and regions
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Has Azure copy a managed disk, a snapshot or a page blob. Nothing of the disk passes through the host
    that the module runs on.
  - A page blob, a managed disk or a snapshot is made from any of the three, in the same or another region.
    Azure makes managed disks and snapshots only of blobs in storage accounts of the subscription.
  - Between regions Azure copies incremental snapshots only. For everything else temporary snapshots are
    made in the resource group of the target, and removed at the end. They have the tags
    C(goldenimage_temporary) and C(goldenimage_expires).
  - To copy a managed disk or snapshot into a blob, access to it is granted. It is revoked on every way out,
    also when the task fails or is stopped.
  - A copy is complete when Azure says so of the copy, not when it has accepted it. After a copy into a blob
    the size, the VHD footer and the written ranges are compared with the source's. What has failed, was
    aborted or is not complete never counts as a disk.
  - The target gets the tag or metadata C(goldenimage_copy_of), which tells of what it is a copy. A second
    run finds it and copies nothing. The tag C(goldenimage_content_sha256) that an upload has left is
    carried on, as long as no machine has had the disk.
  - A run that was killed is gone on with by the next one. A copy that is pending is waited for, not begun
    again.
  - Where it runs on the controller, without C(become) and C(async), it shows every few seconds how far the
    copy is. Elsewhere, O(progress_file) tells it.
options:
  source:
    description: What to copy.
    type: dict
    required: true
    suboptions:
      disk_name:
        description:
          - Name or id of a managed disk. Exactly one of this, O(source.snapshot_name),
            O(source.storage_account) and O(source.sas_url) is given.
          - A disk of a running machine can be copied to a disk or snapshot, with the content of that
            moment, but not to a blob.
        type: str
      snapshot_name:
        description: Name or id of a snapshot.
        type: str
      resource_group:
        description: Resource group of the disk, snapshot or storage account. The default is
          O(resource_group).
        type: str
      storage_account:
        description: Name of the storage account of a page blob, together with O(source.container) and
          O(source.blob).
        type: str
      container:
        description: Name of the container of the blob.
        type: str
      blob:
        description: Name of the page blob. It has to hold a fixed VHD.
        type: str
      auth_mode:
        description:
          - How access to O(source.storage_account) is got. Either way the storage service gets a signature
            that permits nothing but to read this one blob, which needs the Python package
            azure-storage-blob.
          - V(key) looks the account's key up, which needs a resource group.
          - V(login) uses the credential itself, which needs the role Storage Blob Data Reader.
        type: str
        choices: [key, login]
        default: key
      sas_url:
        description: URL of a page blob with a SAS that permits to read it, or of a public one.
        type: str
  resource_group:
    description:
      - Resource group of the managed disk or snapshot to make, or of the storage account.
      - For a blob with O(auth_mode=login) it may be left out, which saves looking the account up.
    type: str
  disk_name:
    description:
      - Name of the managed disk to make.
      - Exactly one of O(disk_name), O(snapshot_name), O(storage_account) and O(sas_url) says where to copy
        to.
    type: str
  snapshot_name:
    description: Name of the snapshot to make.
    type: str
  location:
    description: Region of the managed disk or snapshot. The default is the source's.
    type: str
  sku:
    description:
      - Kind of storage of the managed disk or snapshot. The default is that of the source for a disk made
        from a disk, V(Standard_LRS) for any other disk, and Azure's choice for a snapshot.
      - A copy that exists is changed to it. Azure changes a disk neither to and from V(UltraSSD_LRS) nor
        between V(*_LRS) and V(*_ZRS); that needs O(force).
      - V(PremiumV2_LRS) and V(UltraSSD_LRS) are for data disks, which get sectors of the source's size.
    type: str
    choices:
      - Standard_LRS
      - Standard_ZRS
      - StandardSSD_LRS
      - StandardSSD_ZRS
      - Premium_LRS
      - Premium_ZRS
      - PremiumV2_LRS
      - UltraSSD_LRS
  zone:
    description: Availability zone of the managed disk.
    type: str
    choices: ['1', '2', '3']
  incremental:
    description:
      - Whether the snapshot keeps only what differs from earlier ones of the same disk. A copy of a disk
        does by default, a copy of a snapshot if that does, a copy of a blob never.
      - Snapshots that are copied to another region always are incremental.
    type: bool
  os_type:
    description: Operating system on the managed disk or snapshot that is made from a blob. Leave it out for
      data disks. Copies of disks and snapshots have their source's.
    type: str
    choices: [Linux, Windows]
  hyper_v_generation:
    description: V(V1) for machines that boot by BIOS, V(V2) for machines that boot by UEFI; together with
      O(os_type).
    type: str
    choices: [V1, V2]
  disk_encryption_set:
    description: Id of the disk encryption set that encrypts the managed disk or snapshot.
    type: str
  storage_account:
    description: Name of the storage account to copy to, together with O(container) and O(blob).
    type: str
  container:
    description: Name of the container of the blob. It has to exist.
    type: str
  blob:
    description: Name of the blob. Azure makes disks and images only of names that end in C(.vhd).
    type: str
  auth_mode:
    description:
      - How access to O(storage_account) is got. V(key) looks the account's key up, which needs
        O(resource_group) and the Python package azure-storage-blob.
      - V(login) uses the credential itself, which needs the role Storage Blob Data Contributor.
    type: str
    choices: [key, login]
    default: key
  sas_url:
    description: URL of the page blob to make with a SAS that permits to read, create, write and delete.
    type: str
  force:
    description:
      - Whether a disk, snapshot or blob of that name that is something else is deleted and made anew.
        Without it, that is an error. A copy of the same source that has failed is always made anew.
      - A disk that is attached to a machine is never replaced, and neither is a blob that is leased.
    type: bool
    default: false
  wait:
    description:
      - Whether to wait until the copy is complete. With V(false) the module returns when Azure has begun
        it; run the task again to have it completed and checked.
      - A copy that needs access to be revoked, or temporary snapshots to be removed, has to be waited for.
    type: bool
    default: true
  wait_timeout:
    description:
      - How many seconds to wait for each of Azure's operations and for each copy.
      - A copy that takes longer goes on in Azure and is found again by the next run. One that needs access
        to be revoked, or temporary snapshots to be removed, is given up.
    type: int
    default: 14400
  progress_file:
    description:
      - File to which progress is appended as lines of JSON. C(phase) is C(copying), C(done) and C(total)
        are bytes of the disk, C(sent) is how much Azure has copied meanwhile, C(resumed) how much it had
        copied before, C(seconds) how long it took. Each of several copies in succession is told of by
        itself. The file is created with mode 0600.
    type: path
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.tags
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.full
  - goldenimage.azure.attributes.action_group
notes:
  - While a managed disk is copied into a blob nobody else may have access to it, because that would end
    with the copy.
  - What a machine writes to a disk that stays attached to it is not noticed; such a copy is not made anew.
  - Metadata stands in place of tags for blobs; O(tags) is for managed disks and snapshots only.
seealso:
  - module: goldenimage.azure.disk_upload
  - module: goldenimage.azure.managed_image
"""

EXAMPLES = r"""
- name: Copy a managed disk into a page blob
  goldenimage.azure.disk_copy:
    source:
      disk_name: web-os
    resource_group: images
    storage_account: mystorage
    container: vhds
    blob: web-1.0.vhd

- name: Copy a blob to a storage account of another region
  goldenimage.azure.disk_copy:
    source:
      resource_group: images
      storage_account: mystorage
      container: vhds
      blob: web-1.0.vhd
    resource_group: images-us
    storage_account: mystorageus
    container: vhds
    blob: web-1.0.vhd

- name: Copy a managed disk to another region
  goldenimage.azure.disk_copy:
    source:
      resource_group: images
      disk_name: web-os
    resource_group: images-us
    disk_name: web-os
    location: eastus2
    sku: Premium_LRS

- name: Make a managed disk from a blob
  goldenimage.azure.disk_copy:
    source:
      storage_account: mystorage
      container: vhds
      blob: web-1.0.vhd
    resource_group: images
    disk_name: web-os
    os_type: Linux
    hyper_v_generation: V2

- name: Make a snapshot of a disk, also while its machine runs
  goldenimage.azure.disk_copy:
    source:
      disk_name: web-os
    resource_group: images
    snapshot_name: web-os-before-update
    tags:
      reason: update
"""

RETURN = r"""
disk:
  description:
    - The managed disk; in check mode as it would be. Keys are those of
      RV(goldenimage.azure.disk_upload#module:disk).
  returned: success, with O(disk_name)
  type: dict
snapshot:
  description: The snapshot; in check mode as it would be.
  returned: success, with O(snapshot_name)
  type: dict
  contains:
    id:
      description: Resource id.
      type: str
      returned: always
      sample: /subscriptions/xxxx-xxxx/resourceGroups/images/providers/Microsoft.Compute/snapshots/web-os
    name:
      description: Name.
      type: str
      returned: always
      sample: web-os
    resource_group:
      description: Resource group.
      type: str
      returned: always
      sample: images
    location:
      description: Region.
      type: str
      returned: always
      sample: westeurope
    sku:
      description: Kind of storage.
      type: str
      returned: always
      sample: Standard_LRS
    incremental:
      description: Whether it is incremental.
      type: bool
      returned: always
    completion_percent:
      description: How much of a copy between regions is done, null for others.
      type: float
      returned: always
    os_type:
      description: Linux or Windows, null for a data disk.
      type: str
      returned: always
    hyper_v_generation:
      description: V1 (BIOS) or V2 (UEFI), null for a data disk.
      type: str
      returned: always
    architecture:
      description: Processor architecture, null when it was never said.
      type: str
      returned: always
    disk_encryption_set:
      description: Id of the disk encryption set, null without one.
      type: str
      returned: always
    disk_size_bytes:
      description: Size in bytes.
      type: int
      returned: always
    disk_size_gb:
      description: Size in GiB, rounded up.
      type: int
      returned: always
    content_sha256:
      description: Digest of the content where an upload has left it.
      type: str
      returned: always
    tags:
      description: Tags.
      type: dict
      returned: always
blob:
  description: The page blob; in check mode as it would be.
  returned: success, with O(storage_account) or O(sas_url)
  type: dict
  contains:
    url:
      description: URL, without a SAS.
      type: str
      returned: always
      sample: https://mystorage.blob.core.windows.net/vhds/web-1.0.vhd
    name:
      description: Last part of the name.
      type: str
      returned: always
      sample: web-1.0.vhd
    size:
      description: Size in bytes, with the VHD footer.
      type: int
      returned: always
      sample: 32213303808
    state:
      description: V(complete), or V(copying) as long as it is not.
      type: str
      returned: always
      sample: complete
    content_sha256:
      description: Digest of the content where an upload has left it.
      type: str
      returned: always
source:
  description: What was copied.
  returned: success
  type: dict
  contains:
    kind:
      description: V(disk), V(snapshot) or V(blob).
      type: str
      returned: always
      sample: disk
    id:
      description: Resource id, or the blob's URL without a SAS.
      type: str
      returned: always
    size_bytes:
      description: Size of the disk in bytes, without the VHD footer.
      type: int
      returned: always
      sample: 32213303296
    content_sha256:
      description: Digest of the content where an upload has left it and no machine has had the disk since.
      type: str
      returned: always
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 21.7
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

from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._module import (
    TAGS_SPEC,
    Outcome,
    azure_module,
    conclude,
    in_session,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_job import CopyJob

_BLOB_SPEC: dict[str, Any] = {
    "storage_account": {"type": "str"},
    "container": {"type": "str"},
    "blob": {"type": "str"},
    "auth_mode": {"type": "str", "choices": ["key", "login"], "default": "key"},
    "sas_url": {"type": "str", "no_log": True},
}
_PLACES = ("disk_name", "snapshot_name", "storage_account", "sas_url")
_ONE_PLACE: dict[str, Any] = {
    "required_one_of": [_PLACES],
    "mutually_exclusive": [_PLACES],
    "required_by": {
        "storage_account": ("container", "blob"),
        "container": ("storage_account",),
        "blob": ("storage_account",),
    },
}


def main() -> None:
    module = azure_module(
        {
            "source": {
                "type": "dict",
                "required": True,
                "options": {
                    "disk_name": {"type": "str"},
                    "snapshot_name": {"type": "str"},
                    "resource_group": {"type": "str"},
                    **_BLOB_SPEC,
                },
                **_ONE_PLACE,
            },
            "resource_group": {"type": "str"},
            "disk_name": {"type": "str"},
            "snapshot_name": {"type": "str"},
            "location": {"type": "str"},
            "sku": {
                "type": "str",
                "choices": [
                    "Standard_LRS",
                    "Standard_ZRS",
                    "StandardSSD_LRS",
                    "StandardSSD_ZRS",
                    "Premium_LRS",
                    "Premium_ZRS",
                    "PremiumV2_LRS",
                    "UltraSSD_LRS",
                ],
            },
            "zone": {"type": "str", "choices": ["1", "2", "3"]},
            "incremental": {"type": "bool"},
            "os_type": {"type": "str", "choices": ["Linux", "Windows"]},
            "hyper_v_generation": {"type": "str", "choices": ["V1", "V2"]},
            "disk_encryption_set": {"type": "str"},
            **_BLOB_SPEC,
            "force": {"type": "bool", "default": False},
            "wait": {"type": "bool", "default": True},
            "wait_timeout": {"type": "int", "default": 14400},
            "progress_file": {"type": "path"},
            **TAGS_SPEC,
        },
        required_one_of=_ONE_PLACE["required_one_of"],
        mutually_exclusive=_ONE_PLACE["mutually_exclusive"],
        required_by={
            **_ONE_PLACE["required_by"],
            "disk_name": ("resource_group",),
            "snapshot_name": ("resource_group",),
        },
    )

    def copy() -> Outcome:
        job = CopyJob(module.params, check_mode=module.check_mode)
        if not job.needs_session:
            return job.run(None)
        return in_session(module, lambda _module, session: job.run(session))

    conclude(module, copy)


if __name__ == "__main__":
    main()
