# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""As what Azure takes a disk."""

from __future__ import annotations

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.verdict import judge

MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40


@pytest.mark.parametrize(
    ("size", "generation", "accepted"),
    [
        (GIB, "V2", ["os_disk", "data_disk", "page_blob"]),
        (GIB, None, ["data_disk", "page_blob"]),
        (19 * MIB, "V1", ["page_blob"]),
        (3 * TIB, "V1", ["data_disk", "page_blob"]),
        (3 * TIB, "V2", ["os_disk", "data_disk", "page_blob"]),
        (9 * TIB, None, ["data_disk"]),
        (33 * TIB, None, []),
    ],
)
def test_the_size_and_the_boot_loader_decide(size: int, generation: str | None, accepted: list[str]) -> None:
    verdict = judge("d", "raw", size, generation)
    assert verdict.accepted_as == accepted
    assert set(verdict.reasons) == {"os_disk", "data_disk", "page_blob"} - set(accepted)
    assert all(verdict.reasons.values())


def test_what_is_done_on_the_way_is_said() -> None:
    verdict = judge("d", "qcow2", GIB + 512, None)
    assert (verdict.upload_size, verdict.vhd_size) == (GIB + MIB, GIB + MIB + 512)
    assert len(verdict.actions) == 3 and f"rounded up from {GIB + 512}" in verdict.actions[1]
    assert judge("d", "vhd", GIB, None, fixed_vhd=True).actions == ["The footer of a fixed VHD is made anew."]
    assert "qcow2" in verdict.actions[0] and "vhd" in judge("d", "vhd", GIB, None).actions[0]
