# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Signing in with every kind of credential that needs no Azure machine, and how each failure reads."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cloud import LocalAzure
from tests.integration.plays import Player, PlayResult

CREDENTIAL = ("AZURE_SUBSCRIPTION_ID", "AZURE_CLIENT_ID", "AZURE_SECRET", "AZURE_TENANT")
UNKNOWN = "00000000-1111-2222-3333-444444444444"
NOTHING: dict[str, str | None] = dict.fromkeys((*CREDENTIAL, "AZURE_CLOUD_ENVIRONMENT"))


def look(play: Player, group: str, env: dict[str, str | None], **options: Any) -> PlayResult:
    return play.module("managed_image_info", {"resource_group": group, **options}, env=env)


def given(azure: LocalAzure) -> dict[str, Any]:
    """The credential as options."""
    return {
        "subscription_id": azure.subscription_id,
        "client_id": azure.env["AZURE_CLIENT_ID"],
        "secret": azure.secret,
        "tenant": azure.env["AZURE_TENANT"],
        "cloud_environment": azure.url,
    }


def test_options_alone_sign_in_and_the_secret_is_shown_nowhere(
    azure: LocalAzure, play: Player, group: str
) -> None:
    done = play.module(
        "managed_image_info", {"resource_group": group, **given(azure)}, env=NOTHING, verbosity=3
    ).succeeded()
    assert done.last["images"] == []
    assert azure.secret not in done.output


def test_module_defaults_of_the_action_group_sign_in(
    azure: LocalAzure, play: Player, group: str, tmp_path: Path
) -> None:
    file = tmp_path / "defaults.yml"
    file.write_text(
        """
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  module_defaults:
    group/goldenimage.azure.azure: "{{ credential }}"
  tasks:
    - goldenimage.azure.managed_image_info:
        resource_group: "{{ group }}"
""",
        encoding="utf-8",
    )
    play(file, env=NOTHING, credential=given(azure), group=group).succeeded()


def test_the_environment_as_awx_sets_it_signs_in(play: Player, group: str) -> None:
    awx: dict[str, str | None] = {"AZURE_AD_USER": "", "AZURE_PASSWORD": "", "ANSIBLE_AZURE_AUTH_SOURCE": ""}
    look(play, group, awx).succeeded()


def test_a_certificate_signs_in(azure: LocalAzure, play: Player, group: str) -> None:
    certificate = azure.env["LOCAL_AZURE_CLIENT_CERTIFICATE"]
    look(play, group, {"AZURE_SECRET": None, "AZURE_X509_CERTIFICATE_PATH": certificate}).succeeded()


def test_a_federated_token_signs_in(azure: LocalAzure, play: Player, group: str) -> None:
    token = azure.env["LOCAL_AZURE_FEDERATED_TOKEN_FILE"]
    look(play, group, {"AZURE_SECRET": None, "AZURE_FEDERATED_TOKEN_FILE": token}).succeeded()


def test_a_profile_of_the_credentials_file_signs_in(
    azure: LocalAzure, play: Player, group: str, tmp_path: Path
) -> None:
    (tmp_path / ".azure").mkdir()
    lines = "\n".join(f"{name}={value}" for name, value in given(azure).items())
    (tmp_path / ".azure" / "credentials").write_text(f"[build]\n{lines}\n", encoding="utf-8")
    look(play, group, {**NOTHING, "HOME": str(tmp_path), "AZURE_PROFILE": "build"}).succeeded()
    look(play, group, {**NOTHING, "HOME": str(tmp_path)}, profile="other").failed_with("other")


def refused_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize(
    ("change", "fragments"),
    [
        ({"AZURE_SECRET": "wr0ng-secret"}, ("AADSTS7000215", "AZURE_SECRET")),
        ({"AZURE_TENANT": UNKNOWN}, ("AADSTS90002", "AZURE_TENANT")),
        ({"AZURE_CLIENT_ID": UNKNOWN}, ("AADSTS700016", "AZURE_CLIENT_ID")),
        ({"AZURE_SUBSCRIPTION_ID": None}, ("subscription", "AZURE_SUBSCRIPTION_ID")),
        ({"AZURE_SUBSCRIPTION_ID": UNKNOWN}, (UNKNOWN, "subscription_id")),
        ({"AZURE_CLOUD_ENVIRONMENT": f"https://127.0.0.1:{refused_port()}"}, ("127.0.0.1", "refused")),
        ({"AZURE_CLOUD_ENVIRONMENT": "AzureNowhere"}, ("AzureNowhere", "AzureCloud")),
        ({"REQUESTS_CA_BUNDLE": None}, ("certificate", "REQUESTS_CA_BUNDLE")),
        (NOTHING, ("az login",)),
    ],
    ids=lambda value: ",".join(value)[:60] if isinstance(value, dict) else "",
)
def test_a_failed_sign_in_is_one_clear_sentence(
    azure: LocalAzure, play: Player, group: str, change: dict[str, str | None], fragments: tuple[str, ...]
) -> None:
    failed = look(play, group, change).failed_with(*fragments)
    assert "\n" not in failed.msg
    assert len(failed.msg) < 500
    assert "wr0ng-secret" not in str(failed.result)
    assert azure.secret not in str(failed.result)


def test_a_missing_package_is_named(play: Player, group: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        """
import importlib.abc
import sys


class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "azure" or name.startswith("azure."):
            raise ModuleNotFoundError("No module named " + repr(name), name=name)


sys.meta_path.insert(0, Blocked())
""",
        encoding="utf-8",
    )
    failed = look(play, group, {"PYTHONPATH": str(tmp_path)}).failed_with("azure-", "Python library")
    assert failed["failure"]["remedy"]
