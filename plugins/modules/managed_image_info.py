#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: managed_image_info
short_description: List managed images
version_added: 0.1.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Lists the managed images of a resource group or of the whole subscription, or looks one up by its name.
options:
  resource_group:
    description: Resource group to look in. Without it the whole subscription is looked through.
    type: str
  name:
    description: Name of an image. An image that is not there is no error, the list is empty then.
    type: str
  tags:
    description: List only images that have all these tags, each given as C(name) or C(name:value).
    type: list
    elements: str
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.info
  - goldenimage.azure.attributes.action_group
seealso:
  - module: goldenimage.azure.managed_image
"""

EXAMPLES = r"""
- name: Look one image up
  goldenimage.azure.managed_image_info:
    resource_group: images
    name: web-1.0
  register: found

- name: List the images of a release in the whole subscription
  goldenimage.azure.managed_image_info:
    tags:
      - release:1.0
"""

RETURN = r"""
images:
  description: The images, in the order of their ids, with the keys that M(goldenimage.azure.managed_image)
    returns.
  returned: success
  type: list
  elements: dict
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
failure:
  description: What Azure said - code, message, target, status, request_id - and what to do, remedy.
  returned: failure
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_facts import image_facts
from ansible_collections.goldenimage.azure.plugins.module_utils._image.selection import select
from ansible_collections.goldenimage.azure.plugins.module_utils._module import Outcome, azure_module, run


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    options: dict[str, Any] = module.params
    images = select(
        session.compute.images, options["resource_group"], options["name"], options["tags"], image_facts
    )
    return Outcome(changed=False, result={"images": images})


def main() -> None:
    module = azure_module(
        {
            "resource_group": {"type": "str"},
            "name": {"type": "str"},
            "tags": {"type": "list", "elements": "str"},
        }
    )
    run(module, work)


if __name__ == "__main__":
    main()
