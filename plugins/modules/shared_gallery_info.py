#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: shared_gallery_info
short_description: List galleries that others share, and their images
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Lists the galleries that their owners share with the subscription or its tenant, and the images in them.
options:
  unique_name:
    description: Unique name of one gallery. Without it all are listed.
    type: str
  shared_to:
    description: Whether to list what is shared with the subscription itself, or with its whole tenant.
    type: str
    choices: [subscription, tenant]
    default: subscription
  definition:
    description: Name of one image definition. Without it all are listed.
    type: str
  search:
    description: Words that have to be in the names of gallery and definition, all of them, and in any case.
    type: str
  versions:
    description: Whether to list the versions too, which is one more request for each definition.
    type: bool
    default: true
  location:
    description: Region to look from. Galleries and images are seen where they are replicated to. Without it
      the region of O(resource_group) is used.
    type: str
  resource_group:
    description: Resource group whose region is used where O(location) is not given.
    type: str
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.info
  - goldenimage.azure.attributes.action_group
seealso:
  - module: goldenimage.azure.community_gallery_info
  - module: goldenimage.azure.image_source_info
"""

EXAMPLES = r"""
- name: List what is shared with this subscription, without the versions
  goldenimage.azure.shared_gallery_info:
    location: eastus
    versions: false
"""

RETURN = r"""
galleries:
  description: The galleries, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its unique name.
      type: str
      returned: always
    unique_id:
      description: Id that it has for others.
      type: str
      returned: always
    location:
      description: Region that it was looked at from.
      type: str
      returned: always
    images:
      description: Its image definitions.
      type: list
      elements: dict
      returned: always
      contains:
        name:
          description: Name of the definition.
          type: str
          returned: always
        reference:
          description: What other modules take as source or image for its latest version.
          type: str
          returned: always
          sample: /SharedGalleries/corporate-1234/Images/web/Versions/latest
        os_type:
          description: V(Linux) or V(Windows).
          type: str
          returned: always
        os_state:
          description: V(Generalized) or V(Specialized).
          type: str
          returned: always
        generation:
          description: V(V1) or V(V2).
          type: str
          returned: always
        architecture:
          description: V(x64) or V(Arm64).
          type: str
          returned: always
        security_type:
          description: The feature SecurityType, V(Standard) without one.
          type: str
          returned: always
        disk_controllers:
          description: Disk controllers that it starts from.
          type: list
          elements: str
          returned: always
        features:
          description: All features, by name.
          type: dict
          returned: always
        plan:
          description: The purchase plan; empty without one.
          type: dict
          returned: always
        end_of_life:
          description: Date of its end of life.
          type: str
          returned: always
        ended:
          description: Whether that has passed.
          type: bool
          returned: always
        latest:
          description: The version that V(latest) is now, null where none counts.
          type: str
          returned: with versions
        versions:
          description: The versions, the highest first.
          type: list
          elements: dict
          returned: with versions
          contains:
            version:
              description: Its number.
              type: str
              returned: always
            reference:
              description: What other modules take as source or image for exactly this version.
              type: str
              returned: always
            published:
              description: When it was published.
              type: str
              returned: always
            exclude_from_latest:
              description: Whether it does not count as the latest.
              type: bool
              returned: always
            end_of_life:
              description: Date of its end of life.
              type: str
              returned: always
            ended:
              description: Whether that has passed.
              type: bool
              returned: always
            os_disk_size_gb:
              description: Size of the operating system disk.
              type: int
              returned: always
            data_disks:
              description: Data disks, each with C(lun) and C(size_gb).
              type: list
              elements: dict
              returned: always
failure:
  description: What Azure said - code, message, target, status, request_id - and what to do, remedy.
  returned: failure
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.gallery_browsing import (
    GalleryQuery,
    browse_galleries,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.resource_groups import region_of
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import SHARED
from ansible_collections.goldenimage.azure.plugins.module_utils._module import Outcome, azure_module, run


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    options: dict[str, Any] = module.params
    query = GalleryQuery(
        SHARED,
        region_of(session, options),
        options["unique_name"] or None,
        options["definition"] or None,
        options["shared_to"],
        options["versions"],
        tuple((options["search"] or "").casefold().split()),
    )
    return Outcome(changed=False, result={"galleries": browse_galleries(session, query)})


def main() -> None:
    module = azure_module(
        {
            "unique_name": {"type": "str"},
            "shared_to": {"type": "str", "choices": ["subscription", "tenant"], "default": "subscription"},
            "definition": {"type": "str"},
            "search": {"type": "str"},
            "versions": {"type": "bool", "default": True},
            "location": {"type": "str"},
            "resource_group": {"type": "str"},
        },
        required_one_of=[("location", "resource_group")],
    )
    run(module, work)


if __name__ == "__main__":
    main()
