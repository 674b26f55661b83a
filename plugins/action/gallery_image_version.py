# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Runs the module gallery_image_version and shows how far each region is."""

from __future__ import annotations

from ansible_collections.goldenimage.azure.plugins.plugin_utils.progress import ProgressAction


class ActionModule(ProgressAction):
    """See :class:`ProgressAction`."""

    module = "goldenimage.azure.gallery_image_version"
