# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Azure's id of a machine, as its firmware tells it."""

from __future__ import annotations

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.firmware import azure_ids


@pytest.mark.parametrize(
    "shown",
    [
        # Both were told of one machine: by Azure, and by Linux on generation 1.
        "D0DF4C54-4ECB-4A4B-9954-5BDF3ED5C3B8",
        "544CDFD0-CB4E-4B4A-9954-5BDF3ED5C3B8\n",
    ],
)
def test_id_is_found_in_either_order_of_bytes(shown: str) -> None:
    assert "d0df4c54-4ecb-4a4b-9954-5bdf3ed5c3b8" in azure_ids(shown)
    assert len(azure_ids(shown)) == 2


@pytest.mark.parametrize("shown", ["", "Not Specified", "a1b2c3d4-0102", "0" * 32, "F" * 32])
def test_firmware_without_a_uuid_tells_of_no_machine(shown: str) -> None:
    assert azure_ids(shown) == ()
