# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: image_source
short_description: Look sources of images up
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Does inline what M(goldenimage.azure.image_source_info) does, on the controller.
  - Returns a description for each term, or one part of it.
options:
  _terms:
    description: The sources, each a text or a dictionary, in any spelling that
      M(goldenimage.azure.image_source_info) takes.
    type: list
    elements: raw
    required: true
  part:
    description:
      - What to return of each.
      - V(description) is the whole dictionary.
      - V(image_reference) is what the option C(image) of M(azure.azcollection.azure_rm_virtualmachine) takes,
        with the exact version.
      - V(pinned) is the text that names exactly that version.
    type: str
    choices: [description, image_reference, pinned]
    default: description
  resource_group:
    description: Resource group of a source that is given by its name. Its region is used where O(location) is
      not given.
    type: str
  location:
    description: Region in which images of the Marketplace and in others' galleries are looked up, and where
      the latest version of one's own galleries counts.
    type: str
  terms:
    description: Whether to look for the acceptance of the legal terms of an image with a plan.
    type: bool
    default: true
  auth_mode:
    description: How a blob is read, by the key of its storage account or by the identity of the session.
    type: str
    choices: [key, login]
    default: key
extends_documentation_fragment:
  - goldenimage.azure.azure
seealso:
  - module: goldenimage.azure.image_source_info
  - plugin: goldenimage.azure.image_reference
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Provision a machine of exactly the version that is the latest now
  azure.azcollection.azure_rm_virtualmachine:
    resource_group: web
    name: web-1
    image: "{{ lookup('goldenimage.azure.image_source', 'Debian:debian-12:12-gen2:latest', location='eastus',
      part='image_reference') }}"

- name: Say how large it is
  ansible.builtin.debug:
    msg: "{{ (lookup('goldenimage.azure.image_source', 'corporate/web', resource_group='images')).os_disk }}"
"""

RETURN = r"""
_list:
  description: For each term what O(part) says.
  type: list
  elements: raw
"""

from typing import Any, cast

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import open_session
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_lookup import (
    SourceLookup,
    described,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.common_options import (
    checks_certificates,
)

display = Display()


class LookupModule(LookupBase):
    """What Ansible loads."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        plugin = cast("Any", self)
        plugin.set_options(var_options=variables, direct=kwargs)
        options: dict[str, Any] = plugin.get_options()
        try:
            with open_session(options) as session:
                for warning in session.warnings:
                    display.warning(warning)
                lookup = SourceLookup(
                    session,
                    resource_group=options["resource_group"],
                    location=options["location"],
                    terms=options["terms"],
                    blob_auth_mode=options["auth_mode"],
                    verify_tls=checks_certificates(options, signs_in=True),
                )
                # All names are read before Azure is asked for any.
                sources = [lookup.parse(term) for term in terms]
                subscription = session.subscription_id
                found = in_parallel(lambda each: described(lookup.describe(each), subscription), sources)
        except AzureError as error:
            raise AnsibleLookupError(f"image_source: {error}") from error
        part = options["part"]
        return found if part == "description" else [each[part] for each in found]
