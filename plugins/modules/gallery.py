#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: gallery
short_description: Make, share, update and delete Azure Compute Galleries
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Makes an Azure Compute Gallery, which image definitions and their versions are kept in, and says who else
    may use its images.
  - Roles given on a gallery (RBAC) are another way to share it, for which nothing has to be set here.
  - Everything that can be checked is checked before the first change.
options:
  resource_group:
    description: Resource group of the gallery.
    type: str
    required: true
  name:
    description:
      - Name of the gallery, 1 to 80 letters, digits, C(.) and C(_), beginning and ending with a letter or
        digit. There are no hyphens in it.
    type: str
    required: true
  state:
    description: Whether the gallery is to be there. Only an empty one is deleted.
    type: str
    choices: [present, absent]
    default: present
  location:
    description:
      - Region of the gallery, by default its resource group's. Azure never moves a gallery.
      - Images of it can be in all regions.
    type: str
  description:
    description: What the gallery is for.
    type: str
  soft_delete:
    description:
      - Whether deleted versions are kept for a week, in which they can be brought back (see
        O(goldenimage.azure.gallery_image_version#module:state)). It takes a gallery that has all its
        definitions and versions in its own region.
    type: bool
  sharing:
    description: Whom the gallery is shared with. Without this option that stays as it is.
    type: dict
    suboptions:
      permissions:
        description:
          - V(private) shares it with nobody, apart from roles given on it.
          - V(groups) shares it with O(sharing.subscriptions) and O(sharing.tenants).
          - V(community) lets everybody on Azure use its images.
          - From one to another, what was shared before ends first.
        type: str
        choices: [private, groups, community]
        required: true
      subscriptions:
        description: Ids of the subscriptions, up to 30. Without it these stay as they are.
        type: list
        elements: str
      tenants:
        description: Ids of the tenants, up to 5. Without it these stay as they are.
        type: list
        elements: str
      append:
        description: Whether to add to the subscriptions and tenants that are there, instead of replacing
          them.
        type: bool
        default: false
      publisher_uri:
        description: Website of the publisher of a community gallery.
        type: str
      publisher_contact:
        description: Mail address of the publisher of a community gallery.
        type: str
      eula:
        description: Licence of the images of a community gallery, as text or URL.
        type: str
      public_name_prefix:
        description: Beginning of the public name of a community gallery. Azure adds a random part.
        type: str
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.tags
  - goldenimage.azure.wait
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.full
  - goldenimage.azure.attributes.action_group
seealso:
  - module: goldenimage.azure.gallery_info
  - module: goldenimage.azure.gallery_image
  - module: goldenimage.azure.gallery_image_version
"""

EXAMPLES = r"""
- name: Make a gallery that keeps deleted versions for a week
  goldenimage.azure.gallery:
    resource_group: images
    name: golden
    description: Images of the platform team
    soft_delete: true

- name: Share it with two subscriptions and nobody else
  goldenimage.azure.gallery:
    resource_group: images
    name: golden
    sharing:
      permissions: groups
      subscriptions:
        - 11111111-1111-1111-1111-111111111111
        - 22222222-2222-2222-2222-222222222222
      tenants: []

- name: Make a gallery that everybody may use
  goldenimage.azure.gallery:
    resource_group: images
    name: public
    sharing:
      permissions: community
      publisher_uri: https://example.com
      publisher_contact: images@example.com
      eula: https://example.com/eula
      public_name_prefix: example

- name: End all sharing
  goldenimage.azure.gallery:
    resource_group: images
    name: golden
    sharing:
      permissions: private

- name: Delete an empty gallery
  goldenimage.azure.gallery:
    resource_group: images
    name: golden
    state: absent
"""

RETURN = r"""
gallery:
  description: The gallery; in check mode as it would be. Null when it was deleted or is not there.
  returned: success
  type: dict
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
    description:
      description: What it is for.
      type: str
      returned: always
    unique_name:
      description: Name by which those find it whom it is shared with. Null in check mode before it is made.
      type: str
      returned: always
      sample: 11111111-1111-1111-1111-111111111111-GOLDEN
    soft_delete:
      description: Whether deleted versions are kept for a week.
      type: bool
      returned: always
    sharing:
      description: Whom it is shared with.
      type: dict
      returned: always
      contains:
        permissions:
          description: One of private, groups, community.
          type: str
          returned: always
          sample: groups
        subscriptions:
          description: Ids of subscriptions.
          type: list
          elements: str
          returned: always
        tenants:
          description: Ids of tenants.
          type: list
          elements: str
          returned: always
        public:
          description: Whether it is open to the community.
          type: bool
          returned: always
        public_names:
          description: Its names in the community.
          type: list
          elements: str
          returned: always
          sample: [example-33333333-3333-3333-3333-333333333333]
        publisher_uri:
          description: Website of the publisher.
          type: str
          returned: always
        publisher_contact:
          description: Mail address of the publisher.
          type: str
          returned: always
        eula:
          description: Licence.
          type: str
          returned: always
        public_name_prefix:
          description: Beginning of the public names.
          type: str
          returned: always
    sharing_state:
      description: How far Azure is with the sharing. Null for what is not shared.
      type: str
      returned: always
      sample: Succeeded
    tags:
      description: Tags.
      type: dict
      returned: always
    provisioning_state:
      description: Azure's state of the gallery, null in check mode before it is made.
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
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.gallery import (
    GalleryRequest,
    ensure_gallery,
    remove_gallery,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._module import (
    TAGS_SPEC,
    WAIT_SPEC,
    Outcome,
    azure_module,
    run,
    waiter_from,
)

_SHARING: dict[str, Any] = {
    "permissions": {"type": "str", "choices": ["private", "groups", "community"], "required": True},
    "subscriptions": {"type": "list", "elements": "str"},
    "tenants": {"type": "list", "elements": "str"},
    "append": {"type": "bool", "default": False},
    "publisher_uri": {"type": "str"},
    "publisher_contact": {"type": "str"},
    "eula": {"type": "str"},
    "public_name_prefix": {"type": "str"},
}


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    options: dict[str, Any] = module.params
    bring = ensure_gallery if options["state"] == "present" else remove_gallery
    request = GalleryRequest.from_options(options, session.subscription_id)
    done = bring(session, request, check_mode=module.check_mode, waiter=waiter_from(module))
    return Outcome.of("gallery", done)


def main() -> None:
    module = azure_module(
        {
            "resource_group": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "location": {"type": "str"},
            "description": {"type": "str"},
            "soft_delete": {"type": "bool"},
            "sharing": {"type": "dict", "options": _SHARING},
            **TAGS_SPEC,
            **WAIT_SPEC,
        }
    )
    run(module, work)


if __name__ == "__main__":
    main()
