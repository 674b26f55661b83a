# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Galleries, definitions and versions brought into a state without a playbook, and refusals of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.definition import (
    ensure_definition,
    remove_definition,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.definition_request import (
    DefinitionRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.gallery import (
    GalleryRequest,
    ensure_gallery,
    remove_gallery,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version import VersionWork
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_removal import (
    remove_version,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_request import (
    VersionRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.ensured import Ensured

from tests.integration.cloud import LocalAzure

Bring = Callable[..., Ensured]


def gallery(session: AzureSession, options: Mapping[str, Any], *, check: bool = False) -> Ensured:
    """What the module gallery does with these options."""
    request = GalleryRequest.from_options(options, session.subscription_id)
    bring = remove_gallery if options.get("state") == "absent" else ensure_gallery
    return bring(session, request, check_mode=check, waiter=Waiter())


def definition(session: AzureSession, options: Mapping[str, Any], *, check: bool = False) -> Ensured:
    """What the module gallery_image does with these options."""
    request = DefinitionRequest.from_options(options, session.subscription_id)
    bring = remove_definition if options.get("state") == "absent" else ensure_definition
    return bring(session, request, check_mode=check, waiter=Waiter())


def version(
    session: AzureSession,
    options: Mapping[str, Any],
    *,
    check: bool = False,
    waiter: Waiter | None = None,
    tell: Callable[[Any], None] | None = None,
) -> Ensured:
    """What the module gallery_image_version does with these options."""
    request = VersionRequest.from_options(options, session.subscription_id)
    waiter = waiter or Waiter()
    state = options.get("state", "present")
    if state != "present":
        return remove_version(session, request, purged=state == "purged", check_mode=check, waiter=waiter)
    return VersionWork(session, request, check_mode=check, waiter=waiter, tell=tell).ensure()


def written(azure: LocalAzure, mark: int) -> list[str]:
    """What was written since then. Keys of storage accounts are read by a POST."""
    return [each for each in azure.writes(mark) if not each.endswith("/listKeys")]


def thrice(
    azure: LocalAzure, bring: Bring, session: AzureSession, options: Mapping[str, Any]
) -> tuple[Ensured, list[str]]:
    """Bring about what the options say, and the writes that took.

    It was foreseen without a write, in the same words, and the second run changes nothing.
    """
    mark = azure.mark()
    foreseen = bring(session, options, check=True)
    assert written(azure, mark) == []
    done = bring(session, options)
    writes = written(azure, mark)
    again = bring(session, options)
    assert written(azure, mark) == writes
    assert foreseen.changed
    assert done.changed
    assert foreseen.actions == done.actions
    assert foreseen.before == done.before
    assert not again.changed, (again.before, again.after)
    assert again.before == again.after
    return done, writes


def refused(
    azure: LocalAzure, bring: Bring, session: AzureSession, options: Mapping[str, Any], *said: str
) -> InvalidInput:
    """These options are refused with such words before anything is written."""
    mark = azure.mark()
    with pytest.raises(InvalidInput) as refusal:
        bring(session, options)
    assert written(azure, mark) == []
    for fragment in said:
        assert fragment in str(refusal.value), str(refusal.value)
    return refusal.value
