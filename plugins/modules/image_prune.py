#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: image_prune
short_description: Delete image versions of an Azure Compute Gallery that are needed no more
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Judges every version of one or all image definitions of a gallery by rules, and says of each why it stays
    or goes. Deletes those that go only with O(apply=true).
  - A version goes when all the rules given hold. At least one of O(keep), O(older_than), O(ended) and
    O(failed) is needed.
  - These stay whatever the rules say. The newest version of a definition. What C(latest) means in any region.
    The newest of each channel. What a machine or a scale set uses. What is protected until its end of life.
    What Azure is at work on.
  - Machines and scale sets are looked for in the subscriptions of the session and of the gallery, and in
    O(subscriptions). Where they cannot be read, nothing is deleted. Of a gallery that is shared with others,
    their machines cannot be seen; the task warns of it.
options:
  resource_group:
    description: Resource group of the gallery. It can be left out when O(gallery) is an id.
    type: str
  gallery:
    description: Name or id of the gallery.
    type: str
    required: true
  definition:
    description: Name of the only image definition to look at. All of the gallery by default.
    type: str
    aliases: [gallery_image]
  keep:
    description: How many of the highest versions of each definition, or of each of its channels, stay.
      Versions that failed do not count.
    type: int
  older_than:
    description: Only versions that were made so many days ago, or earlier, go.
    type: int
  ended:
    description: Only versions whose end of life has passed go.
    type: bool
    default: false
  failed:
    description: Only versions that Azure could not make go.
    type: bool
    default: false
  channel_tag:
    description: Name of the tag whose value is a version's channel, such as C(stable) or C(test). O(keep) is
      then counted in each channel, and versions without the tag are a channel, too.
    type: str
  channels:
    description: Only versions of these channels go.
    type: list
    elements: str
  tags:
    description: Only versions that have all these tags go, each given as C(name) or C(name:value).
    type: list
    elements: str
  subscriptions:
    description: Ids of further subscriptions whose machines and scale sets may use the versions.
    type: list
    elements: str
  apply:
    description:
      - Whether to delete the versions. By default they are only named, because a version that was deleted by
        mistake cannot be had back, unless its gallery has soft delete; so a rule that is wrong is seen before
        it does harm.
    type: bool
    default: false
  purge:
    description: Whether versions of a gallery with soft delete are deleted for good.
    type: bool
    default: false
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.wait
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.full
  - goldenimage.azure.attributes.action_group
seealso:
  - module: goldenimage.azure.gallery_image_version
  - module: goldenimage.azure.garbage
"""

EXAMPLES = r"""
- name: See which versions would go if three of each definition stayed
  goldenimage.azure.image_prune:
    resource_group: images
    gallery: golden
    keep: 3
  register: pruned

- name: Delete versions of the test channel beyond the newest two, when they are a month old
  goldenimage.azure.image_prune:
    resource_group: images
    gallery: golden
    definition: web
    keep: 2
    older_than: 30
    channel_tag: channel
    channels: [test]
    apply: true

- name: Delete what has reached its end of life
  goldenimage.azure.image_prune:
    resource_group: images
    gallery: golden
    ended: true
    apply: true
"""

RETURN = r"""
versions:
  description: All versions that were looked at, by definition and number.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Resource id.
      type: str
      returned: always
    definition:
      description: Image definition.
      type: str
      returned: always
      sample: web
    version:
      description: Number.
      type: str
      returned: always
      sample: 1.0.0
    channel:
      description: Its channel. Null without one.
      type: str
      returned: always
      sample: test
    goes:
      description: Whether it goes.
      type: bool
      returned: always
    reason:
      description: Why it stays, or goes.
      type: str
      returned: always
      sample: it is one of the 3 highest to keep
removed:
  description: Ids of the versions that were deleted; without O(apply) and in check mode, of those that would
    be.
  returned: success
  type: list
  elements: str
actions:
  description: One sentence for each version that was deleted.
  returned: success
  type: list
  elements: str
failure:
  description: What Azure said - code, message, target, status, request_id - and what to do, remedy.
  returned: failure
  type: dict
"""

from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.prune import (
    PruneRequest,
    judge,
    remove,
    shown,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._module import (
    WAIT_SPEC,
    Outcome,
    azure_module,
    run,
    waiter_from,
)


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    options: dict[str, Any] = module.params
    request = PruneRequest.from_options(options, session.subscription_id)
    judged = judge(session, request, datetime.now(timezone.utc))
    if options["apply"] and not module.check_mode:
        remove(session, request, judged, waiter_from(module))
    return Outcome(**shown(request, judged, apply=options["apply"]))


def main() -> None:
    module = azure_module(
        {
            "resource_group": {"type": "str"},
            "gallery": {"type": "str", "required": True},
            "definition": {"type": "str", "aliases": ["gallery_image"]},
            "keep": {"type": "int"},
            "older_than": {"type": "int"},
            "ended": {"type": "bool", "default": False},
            "failed": {"type": "bool", "default": False},
            "channel_tag": {"type": "str"},
            "channels": {"type": "list", "elements": "str"},
            "tags": {"type": "list", "elements": "str"},
            "subscriptions": {"type": "list", "elements": "str"},
            "apply": {"type": "bool", "default": False},
            "purge": {"type": "bool", "default": False},
            **WAIT_SPEC,
        }
    )
    run(module, work)


if __name__ == "__main__":
    main()
