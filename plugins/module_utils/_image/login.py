# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Azure demands of the administrator's account: name, password, SSH public keys.

Figures: "Frequently asked questions" about Linux and Windows virtual machines, and the reference of
"Virtual Machines - Create Or Update" (osProfile) in Azure's documentation.
"""

from __future__ import annotations

import base64
import binascii
import re

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput

_RESERVED = """
1 123 a actuser adm admin admin1 admin2 administrator aspnet backup console david guest john owner root server
sql support support_388945a0 sys test test1 test2 test3 user user1 user2 user3 user4 user5
"""
RESERVED_NAMES = frozenset(_RESERVED.split())
_LINUX_NAME = re.compile(r"[a-z_][a-z0-9_.-]{0,63}")
_WINDOWS_NAME_FORBIDDEN = re.compile(r'[\\/"\[\]:|<>+=;,?*@&\s]')
_WINDOWS_NAME_LENGTH = 20
_REFUSED = """
abc@123 P@$$w0rd P@ssw0rd P@ssword123 Pa$$word pass@word1 Password! Password1 Password22 iloveyou!
"""
_REFUSED_PASSWORDS = frozenset(_REFUSED.split())
_PASSWORD_LENGTH = {"Linux": (6, 72), "Windows": (8, 123)}
_KEY_TYPES = ("ssh-rsa", "ssh-ed25519")
_RSA_BITS = 2048


def check_admin_username(name: str, os_type: str) -> None:
    """`os_type`: Linux or Windows."""
    if name.lower() in RESERVED_NAMES:
        raise InvalidInput(
            f"admin_username: {name!r} is one of the names Azure does not allow for an administrator.",
            remedy="Choose another name, azureuser for instance.",
        )
    if os_type == "Windows":
        good = 0 < len(name) <= _WINDOWS_NAME_LENGTH and not name.endswith(".")
        if not good or _WINDOWS_NAME_FORBIDDEN.search(name):
            raise InvalidInput(
                f"admin_username: {name!r} is no name Windows accepts for an account.",
                remedy=f"Use 1 to {_WINDOWS_NAME_LENGTH} characters without spaces or any of"
                ' \\ / " [ ] : | < > + = ; , ? * @ & and without a . at the end.',
            )
    elif not _LINUX_NAME.fullmatch(name):
        raise InvalidInput(
            f"admin_username: {name!r} is no name Linux accepts for an account.",
            remedy="Use 1 to 64 lower-case letters, digits, or any of . _ -, beginning with a letter or _.",
        )


def check_admin_password(password: str, os_type: str) -> None:
    """Check against Azure's rules; no message ever holds the password. `os_type`: Linux or Windows."""
    shortest, longest = _PASSWORD_LENGTH[os_type]
    if not shortest <= len(password) <= longest:
        raise InvalidInput(
            f"admin_password: the password has {len(password)} characters,"
            f" Azure wants {shortest} to {longest} for {os_type}."
        )
    kinds = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[\W_]")
    if sum(bool(re.search(kind, password)) for kind in kinds) < 3:
        raise InvalidInput(
            "admin_password: the password is too simple for Azure.",
            remedy="Use at least three of: lower-case letters, upper-case letters, digits, other characters.",
        )
    if password in _REFUSED_PASSWORDS:
        raise InvalidInput("admin_password: the password is on Azure's list of refused passwords.")


def check_ssh_public_key(position: int, text: str) -> None:
    """Check one element of ssh_public_keys (`position` counts from 0). A private key is never repeated."""
    where = f"ssh_public_keys[{position}]"
    example = (
        "It looks like 'ssh-ed25519 AAAA... name'; a file is read with lookup('ansible.builtin.file', path)."
    )
    if "PRIVATE KEY" in text:
        raise InvalidInput(f"{where}: this is a private key.", remedy="Give the public key (the .pub file).")
    words = text.split()
    if len(words) < 2:
        raise InvalidInput(f"{where}: {_shortened(text)} is no SSH public key.", remedy=example)
    if words[0] not in _KEY_TYPES:
        raise InvalidInput(
            f"{where}: keys of type {_shortened(words[0])} are not accepted by Azure.",
            remedy=f"Use a key of type {' or '.join(_KEY_TYPES)}. {example}",
        )
    fields = _wire_fields(words[1])
    if not fields or fields[0] != words[0].encode():
        raise InvalidInput(f"{where}: what follows {words[0]} is no key of that type.", remedy=example)
    if words[0] == "ssh-rsa" and _bits(fields) < _RSA_BITS:
        raise InvalidInput(f"{where}: an RSA key of {_bits(fields)} bits, Azure wants {_RSA_BITS} or more.")


def same_public_key(one: str, other: str) -> bool:
    """Compare type and key; the comment and the line breaks some tools put into the text do not count."""
    return _essence(one) == _essence(other)


def _essence(text: str) -> tuple[str, ...]:
    words = text.replace("\r", "").split(" ")
    return tuple(word.replace("\n", "") for word in words if word)[:2]


def _wire_fields(encoded: str) -> list[bytes]:
    """The length-prefixed fields of a key's base64 text (RFC 4253, section 6.6); empty when malformed."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return []
    fields = []
    while data:
        length = int.from_bytes(data[:4], "big")
        if len(data) < 4 + length:
            return []
        fields.append(data[4 : 4 + length])
        data = data[4 + length :]
    return fields


def _bits(rsa_fields: list[bytes]) -> int:
    """The modulus is the third field of an ssh-rsa key: type, exponent, modulus."""
    return int.from_bytes(rsa_fields[2], "big").bit_length() if len(rsa_fields) == 3 else 0


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
