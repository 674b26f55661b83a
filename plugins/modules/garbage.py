#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: garbage
short_description: Find and remove what interrupted builds left in a subscription
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Finds the temporary resources and resource groups of this collection in a subscription by the tags that
    they carry from their creation on - C(goldenimage_temporary), C(goldenimage_build) and
    C(goldenimage_expires) - and removes those that have expired, or all of one build.
  - Nothing is removed unless O(dry_run=false) is given.
  - Nothing without all of these tags is ever removed, other than what is a part of a resource that has them,
    such as an extension of a machine. A tagged resource group that holds something else, or whose machine
    would take something else with it, stays as a whole and is named in RV(refused), with a warning.
  - In a tagged group the group's own expiry counts, elsewhere each resource's.
  - Machines go first, then interfaces, disks, snapshots and restore points, addresses, security groups and
    networks, and groups last. Signatures that give access to a disk are ended before. Each resource's tags
    are read once more just before it is removed.
options:
  build_id:
    description: Remove everything of this build, whether it has expired or not, and nothing else.
    type: str
  dry_run:
    description: Whether only to list what would be removed.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait for each of Azure's operations.
    type: int
    default: 1800
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.full
  - goldenimage.azure.attributes.action_group
notes:
  - A build that is still going on loses its resources when it is removed by O(build_id), or lasts longer than
    its C(expires_after).
  - When something cannot be removed everything else is, and the task fails with what is left.
  - With O(dry_run=true) the task is never changed; check mode says what O(dry_run=false) would change.
seealso:
  - module: goldenimage.azure.vm_twin
"""

EXAMPLES = r"""
- name: See what is left
  goldenimage.azure.garbage:
  register: found

- name: Remove what has expired
  goldenimage.azure.garbage:
    dry_run: false

- name: Remove what one build left, at once
  goldenimage.azure.garbage:
    build_id: web-2026-03
    dry_run: false
"""

RETURN = r"""
garbage:
  description: What was removed, or would be, in that order.
  returned: success
  type: list
  elements: dict
  contains: &piece
    id:
      description: Resource id.
      type: str
      returned: always
    type:
      description: Type of the resource.
      type: str
      returned: always
      sample: Microsoft.Resources/resourceGroups
    purpose:
      description: What it was made for.
      type: str
      returned: always
      sample: twin
    build_id:
      description: The build that made it.
      type: str
      returned: always
    expires:
      description: When it expires.
      type: str
      returned: always
      sample: '2026-03-02T12:00:00+00:00'
    source_id:
      description: What the build worked on.
      type: str
      returned: always
    holds:
      description: Ids of the resources that go with a resource group.
      type: list
      elements: str
      returned: always
    reason:
      description: Why it was refused. Null for others.
      type: str
      returned: always
kept:
  description: Temporary resources and groups that have not expired, or are of other builds.
  returned: success
  type: list
  elements: dict
  contains: *piece
refused:
  description: What would have been removed if something else were not in the way.
  returned: success
  type: list
  elements: dict
  contains: *piece
actions:
  description: One sentence for each resource that was removed, or would be.
  returned: success
  type: list
  elements: str
failure:
  description:
    - What Azure said - code, message, target, status, request_id - and what to do, remedy. When something
      could not be removed, left and removed are lists like RV(garbage).
  returned: failure
  type: dict
"""

from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import checked_build_id
from ansible_collections.goldenimage.azure.plugins.module_utils._image.garbage import Wanted, collect
from ansible_collections.goldenimage.azure.plugins.module_utils._module import (
    WAIT_SPEC,
    Outcome,
    azure_module,
    run,
    waiter_from,
)


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    options: dict[str, Any] = module.params
    build_id = checked_build_id(options["build_id"]) if options["build_id"] is not None else None
    wanted = Wanted(build_id, datetime.now(timezone.utc))
    dry_run = options["dry_run"]
    done = collect(session, wanted, dry_run=dry_run or module.check_mode, waiter=waiter_from(module))
    return Outcome(
        changed=done.changed and not dry_run,
        result=done.facts or {},
        before=done.before,
        after=done.before if dry_run else done.after,
        actions=list(done.actions),
        warnings=list(done.warnings),
    )


def main() -> None:
    module = azure_module(
        {
            "build_id": {"type": "str"},
            "dry_run": {"type": "bool", "default": True},
            "wait_timeout": WAIT_SPEC["wait_timeout"],
        }
    )
    run(module, work)


if __name__ == "__main__":
    main()
