#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: gallery_image_version
short_description: Make, publish, update, delete and bring back image versions in Azure Compute Galleries
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Makes a version of an image definition from a machine, a managed image, another version, or disks,
    snapshots and VHD blobs one by one, and publishes it to regions.
  - Source and definition are compared before the first change; all that speaks against it is told together,
    in RV(failure.findings).
  - A version never changes its disks. Asking for one that exists with other sources is an error, unless its
    number is counted (O(version=next_patch)) or O(replace=true).
  - The version gets the tags C(goldenimage_source), what it was made of, and C(goldenimage_sources), which
    tells when that was replaced by something else of the same name.
  - While Azure copies the version, the progress of each region is shown every few seconds. A failure names
    the regions and Azure's reasons; the next run tries these regions again. A version that got to no region
    at all is deleted.
options:
  resource_group:
    description: Resource group of the gallery, and of sources that are given by name. It can be left out when
      O(gallery) is an id.
    type: str
  gallery:
    description: Name or id of the gallery.
    type: str
    required: true
  definition:
    description: Name of the image definition, which has to be there (see
      M(goldenimage.azure.gallery_image)).
    type: str
    required: true
    aliases: [gallery_image]
  version:
    description:
      - Number of the version, such as V(1.0.0), or how to find one. A version that was made of the same
        source is taken as it is; a new number is only for a new or changed source.
      - V(next_patch), V(next_minor) and V(next_major) count on from the highest version there is, also from
        deleted ones that the gallery keeps. The first is V(1.0.0).
      - V(date) is the day in UTC, such as C(2026.1121.0), with a number that counts on on that day.
      - V(source) is the source's own version, where that is a version of a gallery.
      - For O(state=absent) and O(state=purged) it has to be a number.
    type: str
    default: next_patch
  state:
    description:
      - V(present) makes the version, or changes how it is published.
      - V(absent) deletes it. A gallery with soft delete keeps it for a week, in which O(undelete=true) brings
        it back.
      - V(purged) deletes it for good.
    type: str
    choices: [present, absent, purged]
    default: present
  source:
    description:
      - What to make the version of, in any spelling that M(goldenimage.azure.image_source_info) takes.
      - A machine, a managed image or a version of an own or community gallery is taken with all its disks.
      - A managed disk, snapshot or VHD blob is the operating system's disk; O(data_disks) adds others.
      - Without O(source) and O(os_disk) the version has to be there already.
    type: raw
  os_disk:
    description: Operating system disk, instead of O(source).
    type: dict
    suboptions:
      source: &disk_source
        description:
          - Id of a managed disk or snapshot, C(managed_disk) or C(snapshot) with a name, or the URL of a VHD
            blob in a storage account of the subscription.
        type: raw
        required: true
      caching: &caching
        description: Host caching of the disks made from the version. Azure's default is V(ReadWrite) for the
          operating system and V(ReadOnly) for data.
        type: str
        choices: ['None', ReadOnly, ReadWrite]
  data_disks:
    description: Data disks, each with its own LUN and source. Disks, snapshots and blobs may be mixed.
    type: list
    elements: dict
    suboptions:
      lun:
        description: Logical unit number that the disk has in machines made from the version, 0 to 63.
        type: int
        required: true
      source: *disk_source
      caching: *caching
  location:
    description: Region of the version, by default its source's. It is always one of its regions.
    type: str
  regions:
    description:
      - Regions to publish to, all that there are to be. By default the version's own, and for a version that
        is there already those that it has.
      - It is removed from others where O(allow_deletion_of_replicated_locations) allows that.
    type: list
    elements: dict
    suboptions:
      name:
        description: Region.
        type: str
        required: true
      replicas:
        description: Number of replicas there, 1 to 100.
        type: int
      storage_account_type: &storage_account_type
        description: Kind of storage of the replicas.
        type: str
        choices: [Standard_LRS, Standard_ZRS, Premium_LRS, PremiumV2_LRS]
      exclude_from_latest:
        description: Whether C(latest) never means this version there.
        type: bool
      disk_encryption_set:
        description: Id of the disk encryption set of that region for all disks that name none of their own.
        type: str
      os_disk_encryption_set:
        description: Id of the disk encryption set for the operating system disk.
        type: str
      data_disk_encryption_sets:
        description: Disk encryption sets of data disks.
        type: list
        elements: dict
        suboptions:
          lun:
            description: LUN of the data disk.
            type: int
            required: true
          disk_encryption_set:
            description: Id of the disk encryption set.
            type: str
            required: true
      confidential_encryption:
        description: How the operating system disk of confidential machines is encrypted.
        type: str
        choices: [EncryptedVMGuestStateOnlyWithPmk, EncryptedWithPmk, EncryptedWithCmk, NonPersistedTPM]
      confidential_disk_encryption_set:
        description: Id of the disk encryption set for V(EncryptedWithCmk).
        type: str
  replicas:
    description: Number of replicas in regions that do not say another, 1 to 100.
    type: int
  storage_account_type: *storage_account_type
  exclude_from_latest:
    description: Whether C(latest) never means this version.
    type: bool
  end_of_life:
    description: When the version is to be used no more, a date to come such as V(2030-01-31). Machines can be
      made after it; M(goldenimage.azure.image_prune) removes it then.
    type: str
  replication_mode:
    description: V(Shallow) makes a version within minutes, for tests, with one replica. It is never changed.
    type: str
    choices: [Full, Shallow]
  block_deletion_before_end_of_life:
    description: Whether Azure refuses to delete the version before O(end_of_life).
    type: bool
  allow_deletion_of_replicated_locations:
    description: Whether the version may be removed from regions.
    type: bool
  replace:
    description:
      - Whether a version of that number with other sources is deleted, for good, and made anew.
      - Machines made of it are not affected. Scale sets cannot grow in between.
    type: bool
    default: false
  undelete:
    description: Whether to bring back a deleted version of that number, which the gallery keeps for a week.
    type: bool
    default: false
  wait:
    description:
      - Whether to wait until all regions have the version. With V(false) the module returns as soon as Azure
        has accepted it; M(goldenimage.azure.gallery_image_version_info) tells later how far it is.
    type: bool
    default: true
  wait_timeout:
    description:
      - How many seconds to wait for each of Azure's operations. Large images to many regions take hours.
      - A task that has run out of time says how far each region is. Azure goes on, and the next run waits on.
    type: int
    default: 14400
  progress_file:
    description: File to which progress is appended as lines of JSON. C(phase) is C(replicating), C(regions)
      has C(region), C(state), C(progress) and C(details) of each.
    type: path
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.tags
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.full
  - goldenimage.azure.attributes.action_group
seealso:
  - module: goldenimage.azure.gallery_image_version_info
  - module: goldenimage.azure.gallery_image
  - module: goldenimage.azure.image_prune
  - module: goldenimage.azure.vm_capture
"""

EXAMPLES = r"""
- name: Publish a managed image to two regions, as the next version
  goldenimage.azure.gallery_image_version:
    resource_group: images
    gallery: golden
    definition: web
    source: web-1.0
    regions:
      - name: westeurope
        replicas: 3
      - name: northeurope
        storage_account_type: Standard_ZRS
    end_of_life: "2030-01-31"

- name: Make a version of a system and two data disks, not to be the latest yet
  goldenimage.azure.gallery_image_version:
    resource_group: images
    gallery: golden
    definition: db
    version: 2.0.0
    os_disk:
      source:
        snapshot: db-os
    data_disks:
      - lun: 0
        source:
          managed_disk: db-data
        caching: None
      - lun: 1
        source: https://mystorage.blob.core.windows.net/vhds/db-log.vhd
    exclude_from_latest: true

- name: Promote it
  goldenimage.azure.gallery_image_version:
    resource_group: images
    gallery: golden
    definition: db
    version: 2.0.0
    exclude_from_latest: false

- name: Start the publishing of a machine and go on with something else
  goldenimage.azure.gallery_image_version:
    resource_group: images
    gallery: golden
    definition: web
    version: date
    source:
      virtual_machine: build-web
    wait: false

- name: Delete a version
  goldenimage.azure.gallery_image_version:
    resource_group: images
    gallery: golden
    definition: web
    version: 1.0.0
    state: absent

- name: Bring it back
  goldenimage.azure.gallery_image_version:
    resource_group: images
    gallery: golden
    definition: web
    version: 1.0.0
    undelete: true
"""

RETURN = r"""
version:
  description: The version; in check mode as it would be. Null when it was deleted or is not there.
  returned: success
  type: dict
  contains:
    id:
      description: Resource id.
      type: str
      returned: always
    name:
      description: Number.
      type: str
      returned: always
      sample: 1.0.0
    version:
      description: Number, as RV(version.name).
      type: str
      returned: always
      sample: 1.0.0
    definition:
      description: Name of the image definition.
      type: str
      returned: always
      sample: web
    gallery:
      description: Name of the gallery.
      type: str
      returned: always
      sample: golden
    resource_group:
      description: Resource group of the gallery.
      type: str
      returned: always
      sample: images
    location:
      description: Region.
      type: str
      returned: always
      sample: westeurope
    source:
      description: Id of the machine, image or version it was made of. Null when it was made of disks.
      type: str
      returned: always
    os_disk:
      description: Operating system disk, with source, caching and disk_size_gb (null until it is made).
      type: dict
      returned: always
    data_disks:
      description: Data disks in the order of their LUNs, with lun and the keys of RV(version.os_disk).
      type: list
      elements: dict
      returned: always
    regions:
      description: Regions, with name, replicas, storage_account_type, exclude_from_latest,
        os_disk_encryption_set, data_disk_encryption_sets, confidential_encryption and
        confidential_disk_encryption_set.
      type: list
      elements: dict
      returned: always
    replication:
      description: How far each region is, with region, state (Replicating, Completed, Failed), progress
        (percent) and details of a failure. Empty in check mode before it is made.
      type: list
      elements: dict
      returned: always
      sample: [{region: westeurope, state: Completed, progress: 100, details: null}]
    replicas:
      description: Number of replicas in regions that say no other.
      type: int
      returned: always
    storage_account_type:
      description: Kind of storage in regions that say no other.
      type: str
      returned: always
    replication_mode:
      description: Full or Shallow. Null where nothing was said, which stands for Full.
      type: str
      returned: always
    exclude_from_latest:
      description: Whether latest never means it.
      type: bool
      returned: always
    published:
      description: When it was made.
      type: str
      returned: always
    end_of_life:
      description: When it is to be used no more.
      type: str
      returned: always
    block_deletion_before_end_of_life:
      description: Whether Azure refuses to delete it before that.
      type: bool
      returned: always
    allow_deletion_of_replicated_locations:
      description: Whether it may be removed from regions.
      type: bool
      returned: always
    tags:
      description: Tags.
      type: dict
      returned: always
    provisioning_state:
      description: Azure's state of the version, null in check mode before it is made.
      type: str
      returned: always
      sample: Succeeded
actions:
  description: One sentence for each change.
  returned: success
  type: list
  elements: str
failure:
  description: What Azure said - code, message, target, status, request_id - and what to do, remedy.
  returned: failure
  type: dict
  contains:
    findings:
      description: All reasons of a refusal, before which nothing was changed.
      type: list
      elements: dict
      returned: when the task was refused
      contains:
        id:
          description: Name of the reason, for programs.
          type: str
          returned: always
          sample: generation-mismatch
        what:
          description: What speaks against it.
          type: str
          returned: always
        where:
          description: The option or resource that it is about.
          type: str
          returned: always
          sample: definition
        remedy:
          description: What to do about it.
          type: str
          returned: always
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version import VersionWork
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_removal import (
    remove_version,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_request import (
    VersionRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._module import (
    TAGS_SPEC,
    Outcome,
    azure_module,
    run,
    waiter_from,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.progress_file import ProgressFile

_STORAGE_TYPES = ["Standard_LRS", "Standard_ZRS", "Premium_LRS", "PremiumV2_LRS"]
_CONFIDENTIAL = [
    "EncryptedVMGuestStateOnlyWithPmk",
    "EncryptedWithPmk",
    "EncryptedWithCmk",
    "NonPersistedTPM",
]
_DISK: dict[str, Any] = {
    "source": {"type": "raw", "required": True},
    "caching": {"type": "str", "choices": ["None", "ReadOnly", "ReadWrite"]},
}
_REGION: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "replicas": {"type": "int"},
    "storage_account_type": {"type": "str", "choices": _STORAGE_TYPES},
    "exclude_from_latest": {"type": "bool"},
    "disk_encryption_set": {"type": "str"},
    "os_disk_encryption_set": {"type": "str"},
    "data_disk_encryption_sets": {
        "type": "list",
        "elements": "dict",
        "options": {
            "lun": {"type": "int", "required": True},
            "disk_encryption_set": {"type": "str", "required": True},
        },
    },
    "confidential_encryption": {"type": "str", "choices": _CONFIDENTIAL},
    "confidential_disk_encryption_set": {"type": "str"},
}


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    options: dict[str, Any] = module.params
    request = VersionRequest.from_options(options, session.subscription_id)
    waiter = waiter_from(module)
    if options["state"] != "present":
        purged = options["state"] == "purged"
        done = remove_version(session, request, purged=purged, check_mode=module.check_mode, waiter=waiter)
        return Outcome.of("version", done)
    progress = ProgressFile(options["progress_file"])
    tell = progress.replicating if options["progress_file"] else None
    try:
        done = VersionWork(session, request, check_mode=module.check_mode, waiter=waiter, tell=tell).ensure()
    finally:
        progress.close()
    return Outcome.of("version", done)


def main() -> None:
    module = azure_module(
        {
            "resource_group": {"type": "str"},
            "gallery": {"type": "str", "required": True},
            "definition": {"type": "str", "required": True, "aliases": ["gallery_image"]},
            "version": {"type": "str", "default": "next_patch"},
            "state": {"type": "str", "choices": ["present", "absent", "purged"], "default": "present"},
            "source": {"type": "raw"},
            "os_disk": {"type": "dict", "options": _DISK},
            "data_disks": {
                "type": "list",
                "elements": "dict",
                "options": {"lun": {"type": "int", "required": True}, **_DISK},
            },
            "location": {"type": "str"},
            "regions": {"type": "list", "elements": "dict", "options": _REGION},
            "replicas": {"type": "int"},
            "storage_account_type": {"type": "str", "choices": _STORAGE_TYPES},
            "exclude_from_latest": {"type": "bool"},
            "end_of_life": {"type": "str"},
            "replication_mode": {"type": "str", "choices": ["Full", "Shallow"]},
            "block_deletion_before_end_of_life": {"type": "bool"},
            "allow_deletion_of_replicated_locations": {"type": "bool"},
            "replace": {"type": "bool", "default": False},
            "undelete": {"type": "bool", "default": False},
            "wait": {"type": "bool", "default": True},
            "wait_timeout": {"type": "int", "default": 14400},
            "progress_file": {"type": "path"},
            **TAGS_SPEC,
        }
    )
    run(module, work)


if __name__ == "__main__":
    main()
