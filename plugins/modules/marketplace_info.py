#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: marketplace_info
short_description: Look through the images of the Azure Marketplace
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Lists publishers, offers, SKUs or versions of images in the Azure Marketplace - Windows Server, Linux,
    SQL Server and other application images - and, where asked, what they are.
  - Only what is asked for is read, and independent requests are sent at the same time.
options:
  location:
    description: Region to look in. Without it the region of O(resource_group) is used.
    type: str
  resource_group:
    description: Resource group whose region is used where O(location) is not given.
    type: str
  publisher:
    description:
      - Publisher to look for, for example V(Canonical). C(*), C(?) and C([]) stand for others, as in file
        names.
      - One without these that is not there is an error.
    type: str
  offer:
    description: Offer to look for, likewise.
    type: str
  sku:
    description: SKU to look for, likewise.
    type: str
  level:
    description:
      - What to list.
      - When not set, it is one level below what is named. O(publisher) alone lists offers, O(sku) versions.
      - A level below one that is not named is looked through as a whole. All offers of all publishers take
        one request for each publisher.
    type: str
    choices: [publishers, offers, skus, versions]
  search:
    description: Words that have to be in the name, from the publisher to the version, all of them, and in any
      case.
    type: str
  newest:
    description: List at most so many versions of each SKU, the highest ones.
    type: int
  details:
    description:
      - Whether to tell generation, architecture, security type, plan, disks and deprecation.
      - Of SKUs they are those of the latest version, which takes two requests for each.
    type: bool
    default: false
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.info
  - goldenimage.azure.attributes.action_group
seealso:
  - module: goldenimage.azure.image_source_info
  - module: goldenimage.azure.marketplace_terms
"""

EXAMPLES = r"""
- name: See what Canonical offers
  goldenimage.azure.marketplace_info:
    location: eastus
    publisher: Canonical

- name: Find the SKUs of SQL Server 2022 for generation V2, and what they are
  goldenimage.azure.marketplace_info:
    location: eastus
    publisher: MicrosoftSQLServer
    offer: sql2022*
    level: skus
    search: gen2
    details: true

- name: Compare the three newest versions of an image
  goldenimage.azure.marketplace_info:
    location: eastus
    publisher: Debian
    offer: debian-12
    sku: 12-gen2
    newest: 3
    details: true
"""

RETURN = r"""
images:
  description: What was found. Versions are sorted from the highest to the lowest, everything else by name.
  returned: success
  type: list
  elements: dict
  contains:
    publisher:
      description: Publisher.
      type: str
      returned: always
      sample: Debian
    offer:
      description: Offer.
      type: str
      returned: for offers, SKUs and versions
      sample: debian-12
    sku:
      description: SKU.
      type: str
      returned: for SKUs and versions
      sample: 12-gen2
    version:
      description: Version.
      type: str
      returned: for versions, and for SKUs with details
      sample: 0.20241004.1890
    urn:
      description: All four as one text, which other modules take as source or image.
      type: str
      returned: with a version
      sample: Debian:debian-12:12-gen2:0.20241004.1890
    os_type:
      description: V(Linux) or V(Windows).
      type: str
      returned: with details
    generation:
      description: V(V1) or V(V2).
      type: str
      returned: with details
    architecture:
      description: V(x64) or V(Arm64).
      type: str
      returned: with details
    security_type:
      description: The feature SecurityType, V(Standard) without one.
      type: str
      returned: with details
    disk_controllers:
      description: Disk controllers that it starts from.
      type: list
      elements: str
      returned: with details
    features:
      description: All features, by name.
      type: dict
      returned: with details
    plan:
      description: The plan with C(publisher), C(product) and C(name); empty without one.
      type: dict
      returned: with details
    os_disk_size_gb:
      description: Size of the operating system disk.
      type: int
      returned: with details
    data_disks:
      description: Data disks, each with C(lun) and C(size_gb).
      type: list
      elements: dict
      returned: with details
    deprecation:
      description: Its C(state), the C(scheduled_time) and the C(alternative).
      type: dict
      returned: with details
requests:
  description: How many requests were sent.
  returned: success
  type: int
  sample: 2
failure:
  description: What Azure said - code, message, target, status, request_id - and what to do, remedy.
  returned: failure
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.marketplace_browsing import (
    LEVELS,
    Browser,
    Query,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.resource_groups import region_of
from ansible_collections.goldenimage.azure.plugins.module_utils._module import Outcome, azure_module, run


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    options: dict[str, Any] = module.params
    query = Query.from_options(options, region_of(session, options))
    browser = Browser(session, query)
    images = browser.browse()
    return Outcome(changed=False, result={"images": images, "requests": browser.requests})


def main() -> None:
    module = azure_module(
        {
            "location": {"type": "str"},
            "resource_group": {"type": "str"},
            "publisher": {"type": "str"},
            "offer": {"type": "str"},
            "sku": {"type": "str"},
            "level": {"type": "str", "choices": list(LEVELS)},
            "search": {"type": "str"},
            "newest": {"type": "int"},
            "details": {"type": "bool", "default": False},
        },
        required_one_of=[("location", "resource_group")],
    )
    run(module, work)


if __name__ == "__main__":
    main()
