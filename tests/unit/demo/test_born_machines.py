# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The demo's verdict: what it must call wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.demo.born_machines import Machine, problems_of

SOURCE = Machine(
    "elsewhere", "0" * 32, ["SHA256:source"], "elsewhere", "builder", "content", True, True, "nocloud"
)
BORN = [
    Machine("web1", "1" * 32, ["SHA256:one"], "web1", "azureuser", "content", True, False, "azure"),
    Machine("web2", "2" * 32, ["SHA256:two"], "web2", "azureuser", "content", True, False, "azure"),
]


def test_two_machines_of_their_own_are_right() -> None:
    assert problems_of(BORN, SOURCE, "azureuser", "content") == []


@pytest.mark.parametrize(
    ("defect", "sentence"),
    [
        ({"machine_id": "1" * 32}, "web2 has the machine-id of web1"),
        ({"machine_id": "0" * 32}, "web2 has the machine-id of elsewhere"),
        ({"machine_id": ""}, "web2 has no identity of its own"),
        (
            {"host_key_fingerprints": ["SHA256:new", "SHA256:one"]},
            "web2 has SSH host keys of web1: SHA256:one",
        ),
        ({"host_key_fingerprints": ["SHA256:source"]}, "web2 has SSH host keys of elsewhere: SHA256:source"),
        ({"host_key_fingerprints": []}, "web2 has no identity of its own"),
        ({"hostname": "web1"}, "web2 has the host name of web1"),
        ({"hostname": "localhost"}, "web2 calls itself localhost"),
        ({"admin_user": "builder"}, "web2 let in builder instead of azureuser"),
        ({"provisioned_by": "nocloud"}, "web2 was not provisioned as on Azure, but by nocloud"),
        ({"old_account": True}, "web2 still has the account of its source"),
        ({"data_mounted": False}, "web2 did not mount its data disk"),
        ({"data_disk_file": None}, "web2 does not have the file on its data disk"),
        ({"data_disk_file": "other"}, "web2 does not have the file on its data disk"),
    ],
)
def test_each_defect_is_named(defect: dict[str, Any], sentence: str) -> None:
    machines = [BORN[0], BORN[1]._replace(**defect)]
    assert sentence in problems_of(machines, SOURCE, "azureuser", "content")
