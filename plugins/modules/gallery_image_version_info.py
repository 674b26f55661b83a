#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: gallery_image_version_info
short_description: List image versions in Azure Compute Galleries, and how far their replication is
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Lists the versions of an image definition, or looks one up by its number, each with how far it is in its
    regions.
  - Lists deleted versions that a gallery with soft delete keeps.
options:
  resource_group:
    description: Resource group of the gallery. It can be left out when O(gallery) is an id.
    type: str
  gallery:
    description: Name or id of the gallery.
    type: str
    required: true
  definition:
    description: Name of the image definition.
    type: str
    required: true
    aliases: [gallery_image]
  version:
    description:
      - Number of a version, or V(latest) for the one that machines are made of where no number is given. A
        version that is not there is no error, the list is empty then.
    type: str
  tags:
    description: List only versions that have all these tags, each given as C(name) or C(name:value).
    type: list
    elements: str
  deleted:
    description: Whether to list deleted versions that are kept, in RV(deleted_versions).
    type: bool
    default: false
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.info
  - goldenimage.azure.attributes.action_group
seealso:
  - module: goldenimage.azure.gallery_image_version
"""

EXAMPLES = r"""
- name: Wait for a version that another task has begun with wait=false
  goldenimage.azure.gallery_image_version_info:
    resource_group: images
    gallery: golden
    definition: web
    version: 1.2.0
  register: found
  until: found.versions[0].provisioning_state != 'Creating'
  retries: 120
  delay: 60

- name: List deleted versions that can be brought back
  goldenimage.azure.gallery_image_version_info:
    resource_group: images
    gallery: golden
    definition: web
    deleted: true
"""

RETURN = r"""
versions:
  description: The versions, the lowest number first, with the keys that
    M(goldenimage.azure.gallery_image_version) returns.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Resource id.
      type: str
      returned: always
    version:
      description: Number.
      type: str
      returned: always
      sample: 1.2.0
    replication:
      description: How far each region is, with region, state (Replicating, Completed, Failed), progress
        (percent) and details of a failure.
      type: list
      elements: dict
      returned: always
      sample: [{region: westeurope, state: Replicating, progress: 40, details: null}]
    provisioning_state:
      description: Azure's state of the version; Creating or Updating as long as some region has not got it.
      type: str
      returned: always
      sample: Succeeded
deleted_versions:
  description: Deleted versions that are kept, each with id, name, resource_group, gallery, definition and
    deleted, the time when it was.
  returned: with O(deleted=true)
  type: list
  elements: dict
failure:
  description: What Azure said - code, message, target, status, request_id - and what to do, remedy.
  returned: failure
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import (
    check_definition_name,
    definition_id,
    gallery_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.soft_deleted import (
    soft_deleted_facts,
    soft_deleted_in,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_facts import version_facts
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_list import list_versions
from ansible_collections.goldenimage.azure.plugins.module_utils._image.selection import has_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._module import Outcome, azure_module, run


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    options: dict[str, Any] = module.params
    gallery = gallery_id(session.subscription_id, options["resource_group"], options["gallery"])
    check_definition_name("definition", options["definition"])
    definition = definition_id(gallery, options["definition"])
    found = list_versions(session, definition, options["version"])
    result: dict[str, Any] = {
        "versions": [version_facts(each) for each in found if has_tags(each.get("tags"), options["tags"])]
    }
    if options["deleted"]:
        kept = soft_deleted_in(session, definition)
        result["deleted_versions"] = [soft_deleted_facts(each) for each in kept]
    return Outcome(changed=False, result=result)


def main() -> None:
    module = azure_module(
        {
            "resource_group": {"type": "str"},
            "gallery": {"type": "str", "required": True},
            "definition": {"type": "str", "required": True, "aliases": ["gallery_image"]},
            "version": {"type": "str"},
            "tags": {"type": "list", "elements": "str"},
            "deleted": {"type": "bool", "default": False},
        }
    )
    run(module, work)


if __name__ == "__main__":
    main()
