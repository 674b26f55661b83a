#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: image_source_info
short_description: Tell what a source of images is
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Completes the name of a source into one description. A source is what a build, an image or a virtual
    machine starts from - an image of the Marketplace, of a community gallery, of a gallery that is shared,
    of a gallery of one's own, a managed image, a managed disk, a snapshot, a virtual machine, a VHD blob,
    or a disk file.
  - Every kind is described by the same keys. What is not known of a kind is null.
  - The latest version is resolved, by numbers and not by letters. Both are returned, what was asked for and
    what it is now, so that a build can be repeated with the same version.
  - Module M(goldenimage.azure.compatibility_check) and the filter P(goldenimage.azure.image_reference#filter)
    take the returned description.
options:
  source:
    description:
      - The source, as a text or a dictionary.
      - C(publisher:offer:sku:version) is an image of the Marketplace. The version may be V(latest).
      - C(/CommunityGalleries/NAME/Images/DEFINITION/Versions/VERSION) and C(/SharedGalleries/...) are images
        in others' galleries. Without a version, or with V(latest), it is the latest.
      - C(gallery/definition) and C(gallery/definition/version) are images of a gallery in O(resource_group).
      - A name alone is a managed image in O(resource_group).
      - A resource id is what it is the id of - a managed image, image definition, image version, Marketplace
        image, managed disk, snapshot or virtual machine.
      - A URL is a VHD blob. What begins with C(/), C(./), C(../) or C(~) is a disk file where the module
        runs.
      - A dictionary has C(publisher), C(offer), C(sku) and perhaps C(version); or C(gallery), C(definition)
        and perhaps C(version); or one of C(name) (a managed image), C(managed_disk), C(snapshot) and
        C(virtual_machine), each perhaps with C(resource_group) and C(subscription_id); or one of C(id),
        C(urn), C(url), C(path), C(community_gallery_image_id) and C(shared_gallery_image_id). What Azure and
        azure.azcollection return as image reference of a virtual machine is also taken.
    type: raw
    required: true
  resource_group:
    description: Resource group of a source that is given by its name. Its region is used where O(location) is
      not given.
    type: str
  location:
    description:
      - Region in which images of the Marketplace and in others' galleries are looked up.
      - Of one's own galleries, the latest version is the latest one there. Without it, it is the latest of
        all.
    type: str
  terms:
    description: Whether to look for the acceptance of the legal terms of an image with a plan, which is one
      more request.
    type: bool
    default: true
  auth_mode:
    description: How a blob is read, by the key of its storage account or by the identity of the session.
    type: str
    choices: [key, login]
    default: key
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.info
  - goldenimage.azure.attributes.action_group
seealso:
  - module: goldenimage.azure.compatibility_check
  - module: goldenimage.azure.marketplace_info
  - plugin: goldenimage.azure.image_reference
    plugin_type: filter
  - plugin: goldenimage.azure.image_source
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: See which Debian is the latest now, and pin it
  goldenimage.azure.image_source_info:
    source: Debian:debian-12:12-gen2:latest
    location: eastus
  register: debian

- name: Provision a machine of exactly that version
  goldenimage.azure.vm:
    resource_group: web
    name: web-1
    image: "{{ debian.source.pinned }}"
    admin_username: ops
    ssh_public_keys: ["{{ lookup('ansible.builtin.file', '~/.ssh/id_ed25519.pub') }}"]

- name: Describe the latest version of a gallery's definition
  goldenimage.azure.image_source_info:
    source: corporate/web
    resource_group: images

- name: Describe what a machine was made of
  goldenimage.azure.image_source_info:
    source: "{{ machine.vms[0].image }}"
    location: eastus
"""

RETURN = r"""
source:
  description: The source. What is not known of its kind is null.
  returned: success
  type: dict
  contains:
    kind:
      description: V(marketplace), V(community_gallery), V(shared_gallery), V(gallery), V(managed_image),
        V(managed_disk), V(snapshot), V(virtual_machine), V(vhd_blob) or V(disk_file).
      type: str
      returned: always
      sample: marketplace
    name:
      description: A short name for messages.
      type: str
      returned: always
      sample: Debian:debian-12:12-gen2:0.20241004.1890
    reference:
      description: What was asked for, in canonical spelling. It can be used as O(source) everywhere.
      type: str
      returned: always
      sample: Debian:debian-12:12-gen2:latest
    pinned:
      description: The same with exactly the version that it is now.
      type: str
      returned: always
      sample: Debian:debian-12:12-gen2:0.20241004.1890
    latest:
      description: Whether the version was resolved, so that RV(source.reference) and RV(source.pinned)
        differ.
      type: bool
      returned: always
    version:
      description: The exact version of an image.
      type: str
      returned: always
    image_reference:
      description: What azure_rm_virtualmachine and M(goldenimage.azure.vm) take as image, with the exact
        version; null of what is no image.
      type: dict
      returned: always
    asked_image_reference:
      description: The same for what was asked for.
      type: dict
      returned: always
    id:
      description: Resource id.
      type: str
      returned: always
    identity:
      description: A text that is another one when the source was replaced by one of the same name; null where
        that cannot be told.
      type: str
      returned: always
    subscription:
      description: Subscription that it is in.
      type: str
      returned: always
    location:
      description: Region that it is in.
      type: str
      returned: always
    regions:
      description: Regions it can be used in; null where that is not known.
      type: list
      elements: str
      returned: always
    os_type:
      description: V(Linux) or V(Windows).
      type: str
      returned: always
      sample: Linux
    os_state:
      description: V(Generalized) or V(Specialized). Of a virtual machine, whether it is marked generalized.
      type: str
      returned: always
      sample: Generalized
    generation:
      description: Generation of the hypervisor, V(V1) or V(V2).
      type: str
      returned: always
      sample: V2
    architecture:
      description: V(x64) or V(Arm64).
      type: str
      returned: always
      sample: x64
    security_type:
      description: Of a machine, disk or snapshot its own, V(Standard), V(TrustedLaunch) or V(ConfidentialVM);
        of an image the feature SecurityType, such as V(TrustedLaunchSupported).
      type: str
      returned: always
      sample: TrustedLaunchSupported
    disk_controllers:
      description: Disk controllers that it starts from, V(SCSI) and V(NVMe).
      type: list
      elements: str
      returned: always
      sample: [SCSI, NVMe]
    features:
      description: Features of an image, by their names.
      type: dict
      returned: always
    plan:
      description: The Marketplace plan with C(publisher), C(product) and C(name); empty where it has none.
      type: dict
      returned: always
    terms_accepted:
      description: Whether the subscription has accepted the terms of the plan.
      type: bool
      returned: always
    os_disk:
      description: The operating system disk with its C(size_gb), and what else is known of it.
      type: dict
      returned: always
    data_disks:
      description: The data disks, each with C(lun), C(size_gb), and what else is known of it.
      type: list
      elements: dict
      returned: always
    blob:
      description: Of a VHD blob its C(blob_type), C(size_bytes), the C(disk_type) of the VHD (V(fixed),
        V(dynamic), V(differencing), empty for what is no VHD), C(disk_size_bytes), and whether it is
        C(leased).
      type: dict
      returned: always
    provisioning_state:
      description: State of the resource.
      type: str
      returned: always
    power_state:
      description: Of a virtual machine, whether it runs.
      type: str
      returned: always
    end_of_life:
      description: Date of its end of life.
      type: str
      returned: always
    ended:
      description: Whether that date has passed.
      type: bool
      returned: always
    deprecation:
      description: Of a Marketplace image its C(state), V(Active), V(ScheduledForDeprecation) or
        V(Deprecated), the C(scheduled_time), and the C(alternative) that its publisher names.
      type: dict
      returned: always
    exclude_from_latest:
      description: Whether a version of one's own gallery does not count as the latest.
      type: bool
      returned: always
    tags:
      description: Its tags.
      type: dict
      returned: always
failure:
  description: What Azure said - code, message, target, status, request_id - and what to do, remedy.
  returned: failure
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_lookup import (
    SourceLookup,
    described,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._module import Outcome, azure_module, run
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.common_options import (
    checks_certificates,
)


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    options: dict[str, Any] = module.params
    lookup = SourceLookup(
        session,
        resource_group=options["resource_group"],
        location=options["location"],
        terms=options["terms"],
        blob_auth_mode=options["auth_mode"],
        verify_tls=checks_certificates(options, signs_in=True),
    )
    facts = lookup.describe(lookup.parse(options["source"]))
    return Outcome(changed=False, result={"source": described(facts, session.subscription_id)})


def main() -> None:
    module = azure_module(
        {
            "source": {"type": "raw", "required": True},
            "resource_group": {"type": "str"},
            "location": {"type": "str"},
            "terms": {"type": "bool", "default": True},
            "auth_mode": {"type": "str", "choices": ["key", "login"], "default": "key"},
        }
    )
    run(module, work)


if __name__ == "__main__":
    main()
