#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: gallery_image_info
short_description: List image definitions of an Azure Compute Gallery
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Lists the image definitions of a gallery, or looks one up by its name.
options:
  resource_group:
    description: Resource group of the gallery. It can be left out when O(gallery) is an id.
    type: str
  gallery:
    description: Name or id of the gallery.
    type: str
    required: true
  name:
    description: Name of a definition. A definition that is not there is no error, the list is empty then.
    type: str
    aliases: [definition]
  tags:
    description: List only definitions that have all these tags, each given as C(name) or C(name:value).
    type: list
    elements: str
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.info
  - goldenimage.azure.attributes.action_group
seealso:
  - module: goldenimage.azure.gallery_image
  - module: goldenimage.azure.gallery_image_version_info
"""

EXAMPLES = r"""
- name: List the definitions of a gallery
  goldenimage.azure.gallery_image_info:
    resource_group: images
    gallery: golden
  register: found
"""

RETURN = r"""
definitions:
  description: The definitions, in the order of their ids, with the keys that
    M(goldenimage.azure.gallery_image) returns.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Resource id.
      type: str
      returned: always
    name:
      description: Name.
      type: str
      returned: always
      sample: web
failure:
  description: What Azure said - code, message, target, status, request_id - and what to do, remedy.
  returned: failure
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.definition import list_definitions
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.definition_facts import (
    definition_facts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import gallery_id
from ansible_collections.goldenimage.azure.plugins.module_utils._image.selection import has_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._module import Outcome, azure_module, run


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    options: dict[str, Any] = module.params
    gallery = gallery_id(session.subscription_id, options["resource_group"], options["gallery"])
    found = list_definitions(session, gallery, options["name"])
    facts = [definition_facts(each) for each in found if has_tags(each.get("tags"), options["tags"])]
    return Outcome(changed=False, result={"definitions": facts})


def main() -> None:
    module = azure_module(
        {
            "resource_group": {"type": "str"},
            "gallery": {"type": "str", "required": True},
            "name": {"type": "str", "aliases": ["definition"]},
            "tags": {"type": "list", "elements": "str"},
        }
    )
    run(module, work)


if __name__ == "__main__":
    main()
