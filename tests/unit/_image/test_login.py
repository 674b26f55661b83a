# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The rules for the administrator's name, password and keys."""

from __future__ import annotations

import base64

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._image.login import (
    check_admin_password,
    check_admin_username,
    check_ssh_public_key,
    same_public_key,
)


def key(kind: str, *fields: bytes) -> str:
    wire = b"".join(len(field).to_bytes(4, "big") + field for field in (kind.encode(), *fields))
    return f"{kind} {base64.b64encode(wire).decode()}"


def rsa(bits: int) -> str:
    modulus = (1 << (bits - 1)) + 1
    return key("ssh-rsa", b"\x01\x00\x01", b"\x00" + modulus.to_bytes(bits // 8, "big"))


ED25519 = key("ssh-ed25519", bytes(32))


@pytest.mark.parametrize("name", ["ops", "azureuser", "_svc", "web-admin.2", "a" * 64])
def test_linux_names_that_azure_accepts(name: str) -> None:
    check_admin_username(name, "Linux")


@pytest.mark.parametrize("name", ["root", "Administrator", "ADMIN", "user1", "support_388945a0", "1"])
@pytest.mark.parametrize("os_type", ["Linux", "Windows"])
def test_reserved_names_are_refused_in_any_case(name: str, os_type: str) -> None:
    with pytest.raises(InvalidInput, match="does not allow"):
        check_admin_username(name, os_type)


@pytest.mark.parametrize(
    ("name", "os_type"),
    [
        ("Ops", "Linux"),
        ("-ops", "Linux"),
        ("o ps", "Linux"),
        ("a" * 65, "Linux"),
        ("ops.", "Windows"),
        ("o/ps", "Windows"),
        ("a" * 21, "Windows"),
    ],
)
def test_malformed_names_are_refused(name: str, os_type: str) -> None:
    with pytest.raises(InvalidInput, match=f"no name {os_type} accepts"):
        check_admin_username(name, os_type)


@pytest.mark.parametrize("password", ["Abc123", "abc-123-x", "a" * 60 + "B1"])
def test_passwords_of_three_kinds_of_characters_are_accepted(password: str) -> None:
    check_admin_password(password, "Linux")


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("aB1", "6 to 72"),
        ("a" * 73, "6 to 72"),
        ("lowercase1", "too simple"),
        ("P@ssw0rd", "list of refused"),
    ],
)
def test_weak_passwords_are_refused_without_being_shown(password: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as refused:
        check_admin_password(password, "Linux")
    assert password not in str(refused.value)


@pytest.mark.parametrize(
    "text", [ED25519, f"{ED25519} me@here", rsa(2048), f"{rsa(4096)} comment with words"]
)
def test_public_keys_are_accepted_with_and_without_comment(text: str) -> None:
    check_ssh_public_key(0, text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no SSH public key"),
        ("~/.ssh/id_ed25519.pub", "lookup"),
        ("ssh-ed25519", "no SSH public key"),
        ("ssh-ed25519 not*base64", "no key of that type"),
        ("ssh-ed25519 AAAA", "no key of that type"),
        (ED25519.replace("ssh-ed25519", "ssh-rsa"), "no key of that type"),
        (key("ecdsa-sha2-nistp256", b"nistp256", bytes(65)), "not accepted by Azure"),
        (rsa(1024), "1024 bits"),
    ],
)
def test_what_is_no_usable_public_key_is_refused_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as refused:
        check_ssh_public_key(3, text)
    assert "ssh_public_keys[3]" in str(refused.value)


def test_a_private_key_is_refused_and_never_repeated() -> None:
    with pytest.raises(InvalidInput, match="private key") as refused:
        check_ssh_public_key(0, "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n")
    assert "b3Blbn" not in str(refused.value)


def test_keys_are_the_same_whatever_their_comments_and_line_breaks() -> None:
    assert same_public_key(f"{ED25519} one", f"{ED25519} two\r\n")
    assert not same_public_key(ED25519, key("ssh-ed25519", b"\1" * 32))
