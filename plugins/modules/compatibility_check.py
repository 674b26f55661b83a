#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: compatibility_check
short_description: Tell beforehand whether an image, version or machine can be made of a source
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Tells before an hour is lost what Azure would refuse, at once, after its operation has run, or only when a
    machine is made of the result, and what it would take although something is lost.
  - The rules are those that the other modules of this collection go by before their first write. They are
    listed in
    L(docs/compatibility.md,https://github.com/goldenimage/goldenimage.azure/blob/main/docs/compatibility.md).
  - What is not known of source or target is not held against anything. Given a description of the source,
    and a target without an id, Azure is not asked at all.
options:
  source:
    description:
      - The source, in any spelling that M(goldenimage.azure.image_source_info) takes. It is looked up.
      - A description that M(goldenimage.azure.image_source_info) has returned, or a dictionary of one's own
        with its keys and at least C(kind) and one more of them, is taken as it is.
    type: raw
    required: true
  target:
    description: What is to be made of it. What is left out goes by the source.
    type: dict
    required: true
    suboptions:
      type:
        description: Kind of the target.
        type: str
        choices: [managed_image, gallery_version, virtual_machine, managed_disk, vhd_blob]
        required: true
      name:
        description: Its name, for messages.
        type: str
      definition:
        description: Of a gallery version the id of an image definition that is there already, or
          C(gallery/definition) in O(resource_group). Its properties take the place of those below.
        type: str
      location:
        description: Region of the target.
        type: str
      regions:
        description: Regions that a gallery version is replicated to.
        type: list
        elements: str
      zone:
        description: Availability zone of a virtual machine.
        type: str
      os_type:
        description: Operating system that an image definition is for.
        type: str
        choices: [Linux, Windows]
      os_state:
        description: State that an image is to have.
        type: str
        choices: [Generalized, Specialized]
      generation:
        description: Generation of an image.
        type: str
        choices: [V1, V2]
      architecture:
        description: Architecture that an image definition is for.
        type: str
        choices: [x64, Arm64]
      security_type:
        description: Of a gallery version the feature SecurityType of its definition, such as
          V(TrustedLaunchSupported). Of a virtual machine V(Standard), V(TrustedLaunch) or V(ConfidentialVM).
        type: str
      disk_controllers:
        description: Disk controllers that the feature DiskControllerTypes of an image definition names.
        type: list
        elements: str
        choices: [SCSI, NVMe]
      plan:
        description: Purchase plan of an image definition, or plan of a virtual machine, with C(publisher),
          C(product) and C(name). An empty dictionary says that it has none.
        type: dict
      size:
        description: Size of a virtual machine. What it can do is looked up in O(target.location).
        type: str
      encryption:
        description: How the disk of a confidential virtual machine is encrypted, or V(platform) or
          V(customer).
        type: str
      os_disk_size_gb:
        description: Size that the operating system disk is to have.
        type: int
      replication_mode:
        description: Replication of a gallery version.
        type: str
        choices: [Full, Shallow]
      with_login:
        description: Whether a virtual machine is to be given an administrator.
        type: bool
  resource_group:
    description: Resource group of a source or definition that is given by its name.
    type: str
  fail_on:
    description:
      - V(error) fails when something is refused.
      - V(warning) fails also when something is lost.
      - V(never) only returns the findings.
    type: str
    choices: [error, warning, never]
    default: error
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.info
  - goldenimage.azure.attributes.action_group
seealso:
  - module: goldenimage.azure.image_source_info
"""

EXAMPLES = r"""
- name: Before the build, see that its result will fit the definition
  goldenimage.azure.compatibility_check:
    source: Canonical:ubuntu-24_04-lts:server:latest
    resource_group: images
    target:
      type: virtual_machine
      location: eastus
      size: Standard_D2s_v6
      security_type: TrustedLaunch

- name: List what speaks against a version of a machine, without failing
  goldenimage.azure.compatibility_check:
    source: {virtual_machine: build-1, resource_group: build}
    resource_group: images
    target:
      type: gallery_version
      definition: corporate/web
      regions: [eastus, westeurope]
    fail_on: never
  register: fit

- name: Ask without Azure
  goldenimage.azure.compatibility_check:
    source:
      kind: virtual_machine
      generation: V2
      security_type: TrustedLaunch
    target:
      type: managed_image
    fail_on: never
"""

RETURN = r"""
compatible:
  description: Whether nothing is refused. Warnings do not count.
  returned: always
  type: bool
findings:
  description: The rules that do not hold.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Name of the rule.
      type: str
      returned: always
      sample: security-type-managed-image
    severity:
      description: V(error) or V(warning).
      type: str
      returned: always
      sample: error
    reason:
      description: What does not fit, a sentence.
      type: str
      returned: always
    remedy:
      description: What to do about it.
      type: str
      returned: always
    about:
      description: V(source), V(target), or the disk.
      type: str
      returned: always
      sample: source
    told:
      description: When Azure itself would tell, V(at once), V(later) when its operation fails, V(at birth)
        of a machine, or V(never).
      type: str
      returned: always
      sample: at once
    documentation:
      description: Page of Azure's documentation.
      type: str
      returned: always
      sample: https://learn.microsoft.com/azure/virtual-machines/capture-image-resource
source:
  description: The source, with the keys that M(goldenimage.azure.image_source_info) returns.
  returned: always
  type: dict
failure:
  description: What Azure said - code, message, target, status, request_id - and what to do, remedy.
  returned: failure
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility_job import (
    Answer,
    answer,
    answer_offline,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._module import (
    Outcome,
    azure_module,
    conclude,
    in_session,
)

_TARGET_SPEC: dict[str, Any] = {
    "type": {
        "type": "str",
        "required": True,
        "choices": ["managed_image", "gallery_version", "virtual_machine", "managed_disk", "vhd_blob"],
    },
    "name": {"type": "str"},
    "definition": {"type": "str"},
    "location": {"type": "str"},
    "regions": {"type": "list", "elements": "str"},
    "zone": {"type": "str"},
    "os_type": {"type": "str", "choices": ["Linux", "Windows"]},
    "os_state": {"type": "str", "choices": ["Generalized", "Specialized"]},
    "generation": {"type": "str", "choices": ["V1", "V2"]},
    "architecture": {"type": "str", "choices": ["x64", "Arm64"]},
    "security_type": {"type": "str"},
    "disk_controllers": {"type": "list", "elements": "str", "choices": ["SCSI", "NVMe"]},
    "plan": {"type": "dict"},
    "size": {"type": "str"},
    "encryption": {"type": "str"},
    "os_disk_size_gb": {"type": "int"},
    "replication_mode": {"type": "str", "choices": ["Full", "Shallow"]},
    "with_login": {"type": "bool"},
}


def outcome(module: AnsibleModule, found: Answer) -> Outcome:
    """What is returned. Raises Refused when the findings are what the task is to fail on."""
    found.refuse(module.params["fail_on"])
    return Outcome(changed=False, result=found.as_result())


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    return outcome(module, answer(session, module.params))


def main() -> None:
    module = azure_module(
        {
            "source": {"type": "raw", "required": True},
            "target": {"type": "dict", "required": True, "options": _TARGET_SPEC},
            "resource_group": {"type": "str"},
            "fail_on": {"type": "str", "choices": ["error", "warning", "never"], "default": "error"},
        }
    )

    def find_out() -> Outcome:
        offline = answer_offline(module.params)
        return in_session(module, work) if offline is None else outcome(module, offline)

    conclude(module, find_out)


if __name__ == "__main__":
    main()
