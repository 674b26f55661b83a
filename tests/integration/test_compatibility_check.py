# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""compatibility_check: offline, by a definition that is there, and by a size."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility_job import answer

from tests.integration.captures import definition, machine
from tests.integration.cloud import LocalAzure
from tests.integration.plays import Player

UBUNTU = "Canonical:ubuntu-24_04-lts:server:latest"


def found(result: Any) -> dict[str, str]:
    return {each["id"]: each["severity"] for each in result["findings"]}


def test_a_described_source_is_checked_without_azure(azure: LocalAzure, play: Player) -> None:
    source = {"kind": "virtual_machine", "name": "web", "security_type": "TrustedLaunch"}
    mark = azure.mark()
    checked = play.each(
        "compatibility_check",
        [
            {"source": source, "target": {"type": "managed_image"}, "fail_on": "never"},
            {"source": source, "target": {"type": "vhd_blob"}},
            {"source": source, "target": {"type": "vhd_blob"}, "fail_on": "warning"},
            {"source": source, "target": {"type": "managed_image"}},
            {"source": {"kind": "cloud", "name": "x"}, "target": {"type": "vhd_blob"}},
        ],
        env={"AZURE_CLIENT_ID": None, "AZURE_SECRET": None, "AZURE_CLOUD_ENVIRONMENT": None},
    )
    never, passed, warned, failed, unknown = checked
    assert found(never) == {"security-type-managed-image": "error"}
    assert never["compatible"] is False
    assert never["findings"][0]["documentation"].startswith("https://")
    assert found(passed) == {"guest-state-lost": "warning"}
    assert passed["compatible"] is True
    assert warned.failed
    assert warned["failure"]["findings"][0]["id"] == "guest-state-lost"
    assert failed.failed
    assert "web has security type TrustedLaunch" in failed.msg
    assert "no kind of source" in unknown.msg
    assert azure.mark() == mark


def asked(session: AzureSession, group: str, source: Any, **target: Any) -> dict[str, str]:
    options = {"source": source, "target": target, "resource_group": group}
    return found(answer(session, options).as_result())


def test_a_machine_is_checked_against_a_definition_and_an_image_against_a_size(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    machine(azure, group, "build", marked=False)
    definition(azure, group, "web", hyperVGeneration="V2", architecture="Arm64")
    build = {"virtual_machine": "build"}
    version = {"type": "gallery_version", "definition": "golden/web"}
    mark = azure.mark()
    assert set(asked(session, group, build, location="West US", regions=["eastus"], **version)) == {
        "source-region",
        "os-state-mismatch",
        "generation-mismatch",
        "architecture-mismatch",
        "region-mismatch",
    }
    vm = {"type": "virtual_machine", "location": "eastus", "size": "standard_d2s_v6"}
    confidential = {"security_type": "ConfidentialVM", "zone": "9"}
    assert set(asked(session, group, "SUSE:sles-15-sp5:gen2:latest", **vm, **confidential)) == {
        "size-controller",
        "machine-security-type",
        "size-security-type",
        "size-zone",
    }
    assert asked(session, group, UBUNTU, **vm) == {}
    assert azure.writes(mark) == []


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({"type": "virtual_machine", "size": "Standard_D2s_v6"}, "Set target.location"),
        ({"type": "virtual_machine", "location": "eastus", "size": "Huge"}, "no VM size Huge"),
        ({"type": "gallery_version", "definition": "golden/none"}, "no definition none"),
        ({"type": "gallery_version", "definition": "golden/web/1.0.0"}, "no image definition"),
        ({"type": "managed_image", "definition": "golden/web"}, "managed image has none"),
    ],
)
def test_what_cannot_be_asked_is_said(
    session: AzureSession, group: str, target: dict[str, Any], said: str
) -> None:
    with pytest.raises(AzureError, match=said):
        asked(session, group, UBUNTU, **target)
