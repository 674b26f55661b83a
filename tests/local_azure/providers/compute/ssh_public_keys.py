# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""SSH public keys, and pairs of keys whose private one is told once and never kept."""

from __future__ import annotations

import asyncio
import binascii
from base64 import b64decode
from collections.abc import Mapping

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from tests.local_azure.body_types import Shape, checked, word
from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import invalid_value, property_change
from tests.local_azure.kinds import Verb
from tests.local_azure.providers.compute.companion_kinds import CompanionKind, given_properties
from tests.local_azure.store import Json, Resource

_KINDS = ("ssh-rsa", "ssh-ed25519")
_RSA_BITS = 3072
_SHAPE: Mapping[str, Shape] = {"properties": {"publicKey": str}}


class SshPublicKeys(CompanionKind):
    type = "Microsoft.Compute/sshPublicKeys"
    shape = _SHAPE

    def verbs(self) -> Mapping[str, Verb]:
        return {"generatekeypair": self._generate}

    def render(self, resource: Resource, call: Call) -> Json:
        """These resources do not tell their type."""
        del call
        return {key: value for key, value in resource.body.items() if key != "type"}

    def compose(self, call: Call, body: Json, existing: Resource | None) -> Json:
        del call
        kept = given_properties(body, existing, ("publicKey",))
        if "publicKey" in kept:
            _check(kept["publicKey"])
        return kept

    async def _generate(self, call: Call) -> Reply:
        wanted = checked(call.body or {}, {"encryptionType": str}).get("encryptionType", "RSA")
        kind = word(wanted, ("RSA", "Ed25519"), "encryptionType")
        private, public = await asyncio.to_thread(_pair, kind)
        # Only now is it looked at: making the keys takes a while, in which another request may have come.
        resource = self.require(call)
        if resource.properties.get("publicKey"):
            raise property_change("publicKey")
        resource.properties["publicKey"] = public
        self.azure.store.put(resource)
        return Reply(200, {"privateKey": private, "publicKey": public, "id": resource.id})


def _check(key: str) -> None:
    words = key.split()
    try:
        known = len(words) > 1 and words[0] in _KINDS and words[0].encode() in b64decode(words[1])[:16]
    except (binascii.Error, ValueError):
        known = False
    if not known:
        raise invalid_value("publicKey", "The SSH public key is invalid: it must be an RSA or Ed25519 key.")


def _pair(kind: str) -> tuple[str, str]:
    """The private key in PEM, the public one in OpenSSH's format."""
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if kind == "RSA":
        key, private = (
            rsa.generate_private_key(65537, _RSA_BITS),
            serialization.PrivateFormat.TraditionalOpenSSL,
        )
    else:
        key, private = ed25519.Ed25519PrivateKey.generate(), serialization.PrivateFormat.OpenSSH
    pem = key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return pem.decode(), f"{public.decode()} generated-by-azure"
