# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What is said of galleries that are not there, and of those that keep nothing of what was deleted."""

from __future__ import annotations

from typing import Any, cast

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.definition import list_definitions
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.gallery import required_gallery
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.soft_deleted import soft_deleted_in

GALLERY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/golden"


class Refusing:
    """Stands for a session to which Azure says that there is nothing, or refuses to list it."""

    def __init__(self, status: int = 404) -> None:
        self.arm = self
        self._status = status
        self.asked: list[str] = []

    def get(self, path: str, _api_version: str, **_query: str) -> dict[str, Any] | None:
        self.asked.append(path)
        return None

    def list(self, path: str, _api_version: str) -> list[dict[str, Any]]:
        self.asked.append(path)
        raise AzureError("No.", status=self._status)


def session(refusing: Refusing) -> AzureSession:
    return cast("AzureSession", refusing)


def test_a_gallery_that_is_missing_is_named_with_its_group() -> None:
    with pytest.raises(InvalidInput, match="there is no gallery golden in resource group g"):
        required_gallery(session(Refusing()), GALLERY)
    with pytest.raises(InvalidInput, match="there is no gallery golden in resource group g"):
        list_definitions(session(Refusing()), GALLERY)


@pytest.mark.parametrize("status", [400, 404, 409])
def test_a_gallery_that_does_not_list_deleted_versions_keeps_none(status: int) -> None:
    refusing = Refusing(status)
    assert soft_deleted_in(session(refusing), f"{GALLERY}/images/web") == []
    assert refusing.asked == [f"{GALLERY}/softDeletedArtifactTypes/Images/artifacts/web/versions"]


@pytest.mark.parametrize("status", [401, 403, 500])
def test_who_may_not_look_does_not_take_it_for_nothing(status: int) -> None:
    with pytest.raises(AzureError):
        soft_deleted_in(session(Refusing(status)), f"{GALLERY}/images/web")
