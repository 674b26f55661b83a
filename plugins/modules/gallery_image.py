#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: gallery_image
short_description: Make, update and delete image definitions in Azure Compute Galleries
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Makes an image definition, which says what all its versions have in common - operating system, generation,
    architecture, security type, disk controllers, Marketplace plan.
  - What is not given is read from O(source). What both say has to be the same, so that a version of the
    source is not refused after all has been done to make it.
  - Azure never changes most of a definition. Asking for something else than there is, is an error.
options:
  resource_group:
    description: Resource group of the gallery. It can be left out when O(gallery) is an id.
    type: str
  gallery:
    description: Name or id of the gallery.
    type: str
    required: true
  name:
    description:
      - Name of the definition, 1 to 80 letters, digits, or any of C(. _ -), beginning and ending with a
        letter or digit.
    type: str
    required: true
    aliases: [definition]
  state:
    description: Whether the definition is to be there. Only one without versions is deleted.
    type: str
    choices: [present, absent]
    default: present
  source:
    description:
      - What its first version will be made of, in any spelling that
        M(goldenimage.azure.image_source_info) takes - a Marketplace image, a machine, a managed image, a
        version of a gallery, a disk, a snapshot, or a blob.
      - Generation, architecture, operating system, OS state, the features (security type, disk controllers
        and others) and the plan are those of the source.
    type: raw
  location:
    description: Region of the definition, by default the gallery's.
    type: str
  os_type:
    description: Operating system. Needed where O(source) does not tell it.
    type: str
    choices: [Linux, Windows]
  os_state:
    description:
      - V(Generalized) for images that many machines are made of, V(Specialized) for images that keep one
        machine's identity.
      - By default the source's; V(Generalized) where that does not tell it, and for a machine that is not
        marked generalized (yet).
    type: str
    choices: [Generalized, Specialized]
  hyper_v_generation:
    description:
      - V(V1) for machines that boot by BIOS, V(V2) for machines that boot by UEFI. By default the source's.
        Without a source it is V(V1), as Azure has it.
      - It has to be given for a source that does not tell it, such as a blob.
    type: str
    choices: [V1, V2]
  architecture:
    description: Processors of the machines. By default the source's, or V(x64).
    type: str
    choices: [x64, Arm64]
  publisher:
    description: First part of the definition's unique identifier, by default the gallery's name.
    type: str
  offer:
    description: Second part of the definition's unique identifier, by default its name.
    type: str
  sku:
    description: Third part of the definition's unique identifier, by default generation and architecture,
      such as C(v2-x64).
    type: str
  security_type:
    description:
      - Feature C(SecurityType). Those that end in C(Supported) leave it to each machine; versions of them
        cannot be made of machines, disks and snapshots.
      - By default the source's. Without it machines have no security type.
    type: str
    choices:
      - Standard
      - TrustedLaunch
      - TrustedLaunchSupported
      - TrustedLaunchAndConfidentialVmSupported
      - ConfidentialVM
      - ConfidentialVmSupported
  disk_controllers:
    description:
      - Feature C(DiskControllerTypes), the disk controllers that the images boot from. Sizes that have NVMe
        disks only refuse images without it.
      - By default the source's. Without it that is SCSI alone.
    type: list
    elements: str
    choices: [SCSI, NVMe]
  accelerated_networking:
    description: Feature C(IsAcceleratedNetworkSupported).
    type: bool
  hibernation:
    description: Feature C(IsHibernateSupported).
    type: bool
  allow_update_image:
    description: Whether features of a definition that is there may be changed. They hold for its versions
      from then on.
    type: bool
    default: false
  plan:
    description: Marketplace plan that machines of the images are bought with. By default the source's.
    type: dict
    aliases: [purchase_plan]
    suboptions:
      publisher:
        description: Publisher.
        type: str
        required: true
      product:
        description: Product, which is the offer of the Marketplace image.
        type: str
        required: true
      name:
        description: Name of the plan.
        type: str
        required: true
  description:
    description: What the images are.
    type: str
  eula:
    description: Licence of the images, as text or URL.
    type: str
  privacy_statement_uri:
    description: URL of the statement on privacy.
    type: str
  release_note_uri:
    description: URL of the release notes.
    type: str
  end_of_life:
    description:
      - When images are to be used no more, a date to come such as V(2030-01-31). It informs, machines can be
        made after it.
    type: str
  recommended:
    description: Sizes of machines that the images are meant for.
    type: dict
    suboptions:
      vcpus:
        description: Number of virtual processors.
        type: dict
        suboptions:
          min: &min
            description: At least.
            type: int
          max: &max
            description: At most.
            type: int
      memory:
        description: Memory in GiB.
        type: dict
        suboptions:
          min: *min
          max: *max
  disallowed_disk_types:
    description: Kinds of disks that machines of the images are not to have, such as V(Standard_LRS).
    type: list
    elements: str
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.tags
  - goldenimage.azure.wait
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.full
  - goldenimage.azure.attributes.action_group
seealso:
  - module: goldenimage.azure.gallery_image_info
  - module: goldenimage.azure.gallery_image_version
  - module: goldenimage.azure.image_source_info
"""

EXAMPLES = r"""
- name: Make a definition that fits a machine
  goldenimage.azure.gallery_image:
    resource_group: images
    gallery: golden
    name: web
    source:
      virtual_machine: build-web

- name: Make a definition for images that are built from a Marketplace image, with its plan and features
  goldenimage.azure.gallery_image:
    resource_group: images
    gallery: golden
    name: rocky-web
    source: resf:rockylinux-x86_64:9-base:latest
    description: Rocky Linux 9 with our web server

- name: Make a definition by hand
  goldenimage.azure.gallery_image:
    resource_group: images
    gallery: golden
    name: db
    os_type: Linux
    hyper_v_generation: V2
    publisher: example
    offer: db
    sku: "15"
    security_type: TrustedLaunchSupported
    disk_controllers: [SCSI, NVMe]
    recommended:
      vcpus: {min: 4}
      memory: {min: 16, max: 128}

- name: Delete a definition without versions
  goldenimage.azure.gallery_image:
    resource_group: images
    gallery: golden
    name: db
    state: absent
"""

RETURN = r"""
definition:
  description: The image definition; in check mode as it would be. Null when it was deleted or is not there.
  returned: success
  type: dict
  contains:
    id:
      description: Resource id.
      type: str
      returned: always
      sample: >-
        /subscriptions/SUBSCRIPTION/resourceGroups/images/providers/Microsoft.Compute/galleries/golden/images/web
    name:
      description: Name.
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
    os_type:
      description: Linux or Windows.
      type: str
      returned: always
    os_state:
      description: Generalized or Specialized.
      type: str
      returned: always
    hyper_v_generation:
      description: V1 (BIOS) or V2 (UEFI).
      type: str
      returned: always
    architecture:
      description: x64 or Arm64.
      type: str
      returned: always
    publisher:
      description: First part of the identifier.
      type: str
      returned: always
    offer:
      description: Second part of the identifier.
      type: str
      returned: always
    sku:
      description: Third part of the identifier.
      type: str
      returned: always
    security_type:
      description: Feature SecurityType. Null where it says nothing.
      type: str
      returned: always
    disk_controllers:
      description: Feature DiskControllerTypes. Null where it says nothing, which stands for SCSI.
      type: list
      elements: str
      returned: always
    accelerated_networking:
      description: Feature IsAcceleratedNetworkSupported. Null where it says nothing.
      type: bool
      returned: always
    hibernation:
      description: Feature IsHibernateSupported. Null where it says nothing.
      type: bool
      returned: always
    plan:
      description: Marketplace plan, with publisher, product and name. Null without one.
      type: dict
      returned: always
    description:
      description: What the images are.
      type: str
      returned: always
    eula:
      description: Licence.
      type: str
      returned: always
    privacy_statement_uri:
      description: URL of the statement on privacy.
      type: str
      returned: always
    release_note_uri:
      description: URL of the release notes.
      type: str
      returned: always
    end_of_life:
      description: When images are to be used no more.
      type: str
      returned: always
    recommended:
      description: Recommended vcpus and memory (GiB), each with min and max.
      type: dict
      returned: always
    disallowed_disk_types:
      description: Kinds of disks that machines are not to have.
      type: list
      elements: str
      returned: always
    tags:
      description: Tags.
      type: dict
      returned: always
    provisioning_state:
      description: Azure's state of the definition, null in check mode before it is made.
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
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.definition import (
    ensure_definition,
    remove_definition,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.definition_request import (
    DefinitionRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.features import (
    CONTROLLERS,
    SECURITY_TYPES,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._module import (
    TAGS_SPEC,
    WAIT_SPEC,
    Outcome,
    azure_module,
    run,
    waiter_from,
)

_BOUNDS: dict[str, Any] = {
    "type": "dict",
    "options": {"min": {"type": "int"}, "max": {"type": "int"}},
}
_PLAN: dict[str, Any] = {
    "type": "dict",
    "aliases": ["purchase_plan"],
    "options": {name: {"type": "str", "required": True} for name in ("publisher", "product", "name")},
}


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    options: dict[str, Any] = module.params
    bring = ensure_definition if options["state"] == "present" else remove_definition
    request = DefinitionRequest.from_options(options, session.subscription_id)
    done = bring(session, request, check_mode=module.check_mode, waiter=waiter_from(module))
    return Outcome.of("definition", done)


def main() -> None:
    module = azure_module(
        {
            "resource_group": {"type": "str"},
            "gallery": {"type": "str", "required": True},
            "name": {"type": "str", "required": True, "aliases": ["definition"]},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "source": {"type": "raw"},
            "location": {"type": "str"},
            "os_type": {"type": "str", "choices": ["Linux", "Windows"]},
            "os_state": {"type": "str", "choices": ["Generalized", "Specialized"]},
            "hyper_v_generation": {"type": "str", "choices": ["V1", "V2"]},
            "architecture": {"type": "str", "choices": ["x64", "Arm64"]},
            "publisher": {"type": "str"},
            "offer": {"type": "str"},
            "sku": {"type": "str"},
            "security_type": {"type": "str", "choices": list(SECURITY_TYPES)},
            "disk_controllers": {"type": "list", "elements": "str", "choices": list(CONTROLLERS)},
            "accelerated_networking": {"type": "bool"},
            "hibernation": {"type": "bool"},
            "allow_update_image": {"type": "bool", "default": False},
            "plan": _PLAN,
            "description": {"type": "str"},
            "eula": {"type": "str"},
            "privacy_statement_uri": {"type": "str"},
            "release_note_uri": {"type": "str"},
            "end_of_life": {"type": "str"},
            "recommended": {"type": "dict", "options": {"vcpus": _BOUNDS, "memory": _BOUNDS}},
            "disallowed_disk_types": {"type": "list", "elements": "str"},
            **TAGS_SPEC,
            **WAIT_SPEC,
        }
    )
    run(module, work)


if __name__ == "__main__":
    main()
