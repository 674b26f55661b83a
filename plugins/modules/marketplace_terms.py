#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: marketplace_terms
short_description: Show, accept or cancel the legal terms of a Marketplace plan
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Images of the Azure Marketplace with a plan can be used only by a subscription that has accepted the
    plan's legal terms, once.
  - Accepting is a legal act. The module returns, and can write to a file, who accepted when which texts.
options:
  source:
    description: An image whose plan is meant, in any spelling that M(goldenimage.azure.image_source_info)
      takes. One without a plan is no error, there is nothing to accept then.
    type: raw
  plan:
    description: The plan itself.
    type: dict
    suboptions:
      publisher:
        description: Publisher.
        type: str
        required: true
      product:
        description: Offer.
        type: str
        required: true
      name:
        description: SKU.
        type: str
        required: true
  state:
    description:
      - V(shown) only tells.
      - V(accepted) accepts the terms unless they are accepted already.
      - V(cancelled) takes the acceptance back. Machines that are there already stay.
    type: str
    choices: [shown, accepted, cancelled]
    default: shown
  terms_digest:
    description: RV(terms.terms_digest) of the terms that were read and agreed to. When Azure links to other
      texts now, nothing is accepted.
    type: str
  audit_file:
    description: File on the host of the task to which RV(audit) is appended as a line of JSON when
      something was accepted or cancelled. It is made where it is not there, readable by its owner only.
    type: path
  location:
    description: Region in which O(source) is looked up.
    type: str
  resource_group:
    description: Resource group of a O(source) that is given by its name. Its region is used where
      O(location) is not given.
    type: str
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.full
  - goldenimage.azure.attributes.action_group
seealso:
  - module: goldenimage.azure.image_source_info
"""

EXAMPLES = r"""
- name: Read the terms
  goldenimage.azure.marketplace_terms:
    source: resf:rockylinux-x86_64:9-base:latest
    location: eastus
  register: rocky

- name: Show where their texts are
  ansible.builtin.debug:
    var: rocky.terms.links

- name: Accept exactly these, and keep a record of it
  goldenimage.azure.marketplace_terms:
    plan: {publisher: resf, product: rockylinux-x86_64, name: 9-base}
    state: accepted
    terms_digest: "{{ rocky.terms.terms_digest }}"
    audit_file: /var/log/marketplace-terms.jsonl
"""

RETURN = r"""
terms:
  description: The terms of the plan; empty for an image without a plan.
  returned: success
  type: dict
  contains:
    publisher:
      description: Publisher of the plan.
      type: str
      returned: always
    product:
      description: Its offer.
      type: str
      returned: always
    name:
      description: Its SKU.
      type: str
      returned: always
    accepted:
      description: Whether the subscription has accepted them.
      type: bool
      returned: always
    links:
      description: Where the texts are, C(license_text), C(privacy_policy) and C(marketplace_terms).
      type: dict
      returned: always
    terms_digest:
      description: SHA-256 over these links, whose names tell versions of the texts apart.
      type: str
      returned: always
audit:
  description: Who accepted or cancelled which terms when.
  returned: when that was done
  type: dict
  contains:
    action:
      description: V(accepted) or V(cancelled).
      type: str
      returned: always
    plan:
      description: The plan as publisher:product:name.
      type: str
      returned: always
    subscription:
      description: For which subscription.
      type: str
      returned: always
    who:
      description: The identity that was signed in, by the names that its token has for it.
      type: dict
      returned: always
    when:
      description: Time in UTC.
      type: str
      returned: always
    terms_digest:
      description: As in RV(terms.terms_digest).
      type: str
      returned: always
failure:
  description: What Azure said - code, message, target, status, request_id - and what to do, remedy.
  returned: failure
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.marketplace_terms import (
    ensure_terms,
    plan_wanted,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._module import Outcome, azure_module, run


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    options: dict[str, Any] = module.params
    plan = plan_wanted(session, options)
    done = ensure_terms(session, plan, options, check_mode=module.check_mode)
    result: dict[str, Any] = {"terms": done.terms, **({"audit": done.audit} if done.audit else {})}
    return Outcome(done.changed, result, done.before, done.terms, done.actions)


def main() -> None:
    plan = {part: {"type": "str", "required": True} for part in ("publisher", "product", "name")}
    module = azure_module(
        {
            "source": {"type": "raw"},
            "plan": {"type": "dict", "options": plan},
            "state": {"type": "str", "choices": ["shown", "accepted", "cancelled"], "default": "shown"},
            "terms_digest": {"type": "str"},
            "audit_file": {"type": "path"},
            "location": {"type": "str"},
            "resource_group": {"type": "str"},
        },
        mutually_exclusive=[("source", "plan")],
        required_one_of=[("source", "plan")],
    )
    run(module, work)


if __name__ == "__main__":
    main()
