#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: managed_image
short_description: Make, update and delete managed images
version_added: 0.1.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Makes a managed image from a generalized virtual machine, or from managed disks, snapshots and VHD blobs.
  - With data disks it is a I(VM image), with the operating system disk alone an I(OS image).
  - Everything that can be checked is checked before the first change, so that a wrong option leaves nothing
    behind.
  - An image that exists with other sources is an error, because Azure would answer success and change
    nothing. Set O(replace=true) to have it deleted and made anew.
  - The image gets the tag C(goldenimage_sources), which tells when a source was replaced by another one of
    the same name, and, of a source with a Marketplace plan, the tag C(goldenimage_plan), from which
    M(goldenimage.azure.vm) takes the plan of its machines.
options:
  resource_group:
    description: Resource group of the image.
    type: str
    required: true
  name:
    description:
      - Name of the image, 1 to 80 letters, digits, or any of C(. _ -), beginning with a letter or digit and
        ending with a letter, digit or C(_).
    type: str
    required: true
  state:
    description: Whether the image is to be there. Deleting it does not touch its sources.
    type: str
    choices: [present, absent]
    default: present
  location:
    description:
      - Region of the image. It has to be the region of the sources, which is the default.
      - For a blob in a storage account that the credential cannot see, the region of the resource group is
        the default.
    type: str
  source_vm:
    description:
      - Name or id of the virtual machine to make the image of, with all its disks. A name is looked up in
        O(resource_group).
      - It has to be stopped and marked generalized; see O(goldenimage.azure.vm#module:generalized).
      - Cannot be given together with O(os_disk) and O(data_disks).
    type: str
  os_disk:
    description: Operating system disk of the image.
    type: dict
    suboptions:
      source: &source
        description:
          - Name or id of a managed disk or snapshot, or the URL of a page blob with a name that ends in
            C(.vhd). A name is looked up in O(resource_group).
        type: str
        required: true
      os_type:
        description: Operating system on the disk. It is read from the source where Azure knows it.
        type: str
        choices: [Linux, Windows]
      os_state:
        description:
          - V(Generalized) when the machine's identity was removed and many machines may be made of the image.
          - V(Specialized) when it is still one particular machine.
        type: str
        choices: [Generalized, Specialized]
        default: Generalized
      caching: &caching
        description: Host caching of the disks made from the image. Azure's default is V(None).
        type: str
        choices: ['None', ReadOnly, ReadWrite]
      storage_account_type: &storage_account_type
        description: Kind of storage of the image's disk. Azure's default is V(Standard_LRS).
        type: str
        choices: [Standard_LRS, Standard_ZRS, StandardSSD_LRS, StandardSSD_ZRS, Premium_LRS, Premium_ZRS]
      disk_size_gb: &disk_size_gb
        description: Size in GiB of the disks made from the image, not less than the source's, which is the
          default.
        type: int
      disk_encryption_set: &disk_encryption_set
        description: Id of the disk encryption set that encrypts the image's disk.
        type: str
  data_disks:
    description: Data disks of the image, each with its own LUN.
    type: list
    elements: dict
    suboptions:
      lun:
        description: Logical unit number that the disk has in machines made from the image, 0 to 63.
        type: int
        required: true
      source: *source
      caching: *caching
      storage_account_type: *storage_account_type
      disk_size_gb: *disk_size_gb
      disk_encryption_set: *disk_encryption_set
  hyper_v_generation:
    description:
      - V(V1) for machines that boot by BIOS, V(V2) for machines that boot by UEFI.
      - It is read from the source; another value than the source's is an error. Blobs do not tell it, so that
        it has to be given for them. For a disk without a generation it is V(V1).
    type: str
    choices: [V1, V2]
  zone_resilient:
    description: Whether the image is kept in several zones of the region. Azure's default is V(false).
    type: bool
  replace:
    description:
      - Whether an image of that name with other sources or settings is deleted and made anew.
      - Machines made from the old image are not affected.
    type: bool
    default: false
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.tags
  - goldenimage.azure.wait
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.full
  - goldenimage.azure.attributes.action_group
seealso:
  - module: goldenimage.azure.managed_image_info
  - module: goldenimage.azure.disk_upload
  - module: goldenimage.azure.vm
"""

EXAMPLES = r"""
- name: Make a VM image from two uploaded disks
  goldenimage.azure.managed_image:
    resource_group: images
    name: web-1.0
    os_disk:
      source: web-os
      os_type: Linux
      caching: ReadWrite
    data_disks:
      - lun: 0
        source: web-data
    tags:
      release: "1.0"

- name: Make an image of a generalized virtual machine, zone resilient
  goldenimage.azure.managed_image:
    resource_group: images
    name: web-1.1
    source_vm: build-web
    zone_resilient: true

- name: Make an image from a VHD blob in place of an older one
  goldenimage.azure.managed_image:
    resource_group: images
    name: web-latest
    os_disk:
      source: https://mystorage.blob.core.windows.net/vhds/web.vhd
      os_type: Linux
    hyper_v_generation: V2
    replace: true

- name: Delete an image
  goldenimage.azure.managed_image:
    resource_group: images
    name: web-1.0
    state: absent
"""

RETURN = r"""
image:
  description: The image; in check mode as it would be. Null when it was deleted or is not there.
  returned: success
  type: dict
  contains:
    id:
      description: Resource id.
      type: str
      returned: always
      sample: /subscriptions/SUBSCRIPTION/resourceGroups/images/providers/Microsoft.Compute/images/web-1.0
    name:
      description: Name.
      type: str
      returned: always
      sample: web-1.0
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
    hyper_v_generation:
      description: V1 (BIOS) or V2 (UEFI).
      type: str
      returned: always
      sample: V2
    os_disk:
      description: >-
        Operating system disk: source (id or URL), os_type, os_state, caching, storage_account_type,
        disk_size_gb, disk_encryption_set.
      type: dict
      returned: always
    data_disks:
      description: Data disks in the order of their LUNs, with lun and the keys of RV(image.os_disk).
      type: list
      elements: dict
      returned: always
    source_virtual_machine:
      description: Id of the machine the image was made of. Null when it was made from disks.
      type: str
      returned: always
    zone_resilient:
      description: Whether it is kept in several zones. Null when that was never said.
      type: bool
      returned: always
    provisioning_state:
      description: Azure's state of the image, null in check mode.
      type: str
      returned: always
      sample: Succeeded
    tags:
      description: Tags.
      type: dict
      returned: always
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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_request import ImageRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._image.managed_image import (
    ensure_image,
    remove_image,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._module import (
    TAGS_SPEC,
    WAIT_SPEC,
    Outcome,
    azure_module,
    run,
    waiter_from,
)

_STORAGE_TYPES = (
    "Standard_LRS",
    "Standard_ZRS",
    "StandardSSD_LRS",
    "StandardSSD_ZRS",
    "Premium_LRS",
    "Premium_ZRS",
)
_DISK_SPEC: dict[str, Any] = {
    "source": {"type": "str", "required": True},
    "caching": {"type": "str", "choices": ["None", "ReadOnly", "ReadWrite"]},
    "storage_account_type": {"type": "str", "choices": list(_STORAGE_TYPES)},
    "disk_size_gb": {"type": "int"},
    "disk_encryption_set": {"type": "str"},
}
_OS_DISK_SPEC: dict[str, Any] = {
    **_DISK_SPEC,
    "os_type": {"type": "str", "choices": ["Linux", "Windows"]},
    "os_state": {"type": "str", "choices": ["Generalized", "Specialized"], "default": "Generalized"},
}
_DATA_DISK_SPEC: dict[str, Any] = {"lun": {"type": "int", "required": True}, **_DISK_SPEC}


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    options: dict[str, Any] = module.params
    bring = ensure_image if options["state"] == "present" else remove_image
    done = bring(
        session,
        ImageRequest.from_options(options),
        check_mode=module.check_mode,
        waiter=waiter_from(module),
    )
    return Outcome.of("image", done)


def main() -> None:
    module = azure_module(
        {
            "resource_group": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "location": {"type": "str"},
            "source_vm": {"type": "str"},
            "os_disk": {"type": "dict", "options": _OS_DISK_SPEC},
            "data_disks": {"type": "list", "elements": "dict", "options": _DATA_DISK_SPEC},
            "hyper_v_generation": {"type": "str", "choices": ["V1", "V2"]},
            "zone_resilient": {"type": "bool"},
            "replace": {"type": "bool", "default": False},
            **TAGS_SPEC,
            **WAIT_SPEC,
        }
    )
    run(module, work)


if __name__ == "__main__":
    main()
