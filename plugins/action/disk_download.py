# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Runs the module disk_download and shows how far it is."""

from __future__ import annotations

from ansible_collections.goldenimage.azure.plugins.plugin_utils.progress import ProgressAction


class ActionModule(ProgressAction):
    """See :class:`ProgressAction`."""

    module = "goldenimage.azure.disk_download"
