#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: gallery_info
short_description: List Azure Compute Galleries
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Lists the galleries of a resource group or of the whole subscription, or looks one up by its name.
options:
  resource_group:
    description: Resource group to look in. Without it the whole subscription is looked through.
    type: str
  name:
    description: Name of a gallery. A gallery that is not there is no error, the list is empty then.
    type: str
  tags:
    description: List only galleries that have all these tags, each given as C(name) or C(name:value).
    type: list
    elements: str
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.info
  - goldenimage.azure.attributes.action_group
seealso:
  - module: goldenimage.azure.gallery
"""

EXAMPLES = r"""
- name: Look one gallery up, and whom it is shared with
  goldenimage.azure.gallery_info:
    resource_group: images
    name: golden
  register: found

- name: List the galleries of the subscription
  goldenimage.azure.gallery_info:
"""

RETURN = r"""
galleries:
  description: The galleries, in the order of their ids, with the keys that M(goldenimage.azure.gallery)
    returns.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Resource id.
      type: str
      returned: always
      sample: /subscriptions/SUBSCRIPTION/resourceGroups/images/providers/Microsoft.Compute/galleries/golden
    name:
      description: Name.
      type: str
      returned: always
      sample: golden
failure:
  description: What Azure said - code, message, target, status, request_id - and what to do, remedy.
  returned: failure
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.gallery import Galleries
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.gallery_facts import gallery_facts
from ansible_collections.goldenimage.azure.plugins.module_utils._image.selection import select
from ansible_collections.goldenimage.azure.plugins.module_utils._module import Outcome, azure_module, run


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    options: dict[str, Any] = module.params
    found = select(
        Galleries(session), options["resource_group"], options["name"], options["tags"], gallery_facts
    )
    return Outcome(changed=False, result={"galleries": found})


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
