# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: image_reference
short_description: The image reference for a source of any spelling
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Turns the name of an image, in any spelling that M(goldenimage.azure.image_source_info) takes, into the
    dictionary that the option C(image) of M(azure.azcollection.azure_rm_virtualmachine),
    M(azure.azcollection.azure_rm_virtualmachinescaleset) and M(goldenimage.azure.vm) takes.
  - Azure is not asked. The latest version stays the latest; the description that
    M(goldenimage.azure.image_source_info) returns gives exactly the version that was found.
positional: subscription_id, resource_group
options:
  _input:
    description: The source, a text, a dictionary or a description.
    type: raw
    required: true
  subscription_id:
    description:
      - Subscription of a managed image or gallery that is given by its name.
      - When not set, the environment variable E(AZURE_SUBSCRIPTION_ID) is used.
    type: str
  resource_group:
    description: Resource group of a managed image or gallery that is given by its name.
    type: str
  wire:
    description: Whether to spell the keys as Azure's own requests do, V(communityGalleryImageId) instead of
      V(community_gallery_image_id), for templates and M(ansible.builtin.uri).
    type: bool
    default: false
seealso:
  - module: goldenimage.azure.image_source_info
  - plugin: goldenimage.azure.image_source
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Provision a machine by azure.azcollection
  azure.azcollection.azure_rm_virtualmachine:
    resource_group: web
    name: web-1
    image: "{{ 'Debian:debian-12:12-gen2:latest' | goldenimage.azure.image_reference }}"

- name: Of the latest version in a gallery
  azure.azcollection.azure_rm_virtualmachine:
    resource_group: web
    name: web-2
    image: "{{ 'corporate/web' | goldenimage.azure.image_reference(subscription_id, 'images') }}"
"""

RETURN = r"""
_value:
  description: The dictionary. It has C(id); or C(publisher), C(offer), C(sku) and C(version); or
    C(community_gallery_image_id) or C(shared_gallery_image_id).
  type: dict
"""

import os
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.snake_case import to_snake
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_parsing import SourceParser


def image_reference(
    source: object,
    subscription_id: str | None = None,
    resource_group: str | None = None,
    wire: bool = False,
) -> dict[str, Any]:
    """The reference of the image that `source` names; see the documentation."""
    subscription = subscription_id or os.environ.get("AZURE_SUBSCRIPTION_ID", "")
    try:
        named = SourceParser(subscription, resource_group, "image_reference").parse(source)
        reference = named.reference
    except AzureError as error:
        raise AnsibleFilterError(str(error)) from error
    if reference is None:
        raise AnsibleFilterError(f"image_reference: {named} is no image, and has no image reference.")
    if str(reference.get("id", "")).startswith("/subscriptions//"):
        raise AnsibleFilterError(
            "image_reference: nothing says in which subscription the image is. Give subscription_id, or the"
            " resource id."
        )
    return reference if wire else to_snake(reference)


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"image_reference": image_reference}
