# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The attested document: who the machine is, signed (PKCS #7).

Azure signs with a certificate of metadata.azure.com. This one is made for the occasion and names the local
Azure, so that a check of the issuer fails here while a check of the signature works.
"""

from __future__ import annotations

import base64
import functools
import json
import secrets
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from tests.local_azure.certificates import self_signed
from tests.local_azure.clock import now

_VALID = timedelta(hours=6)
_TIME = "%m/%d/%y %H:%M:%S -0000"


@functools.lru_cache(maxsize=1)
def _signer() -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    return self_signed("metadata.azure.localhost", days=365)


def attested_document(compute: dict[str, Any], nonce: str | None) -> dict[str, str]:
    """`encoding` and `signature`, of a document with the nonce (a random one when none is given)."""
    created = now()
    content = {
        "licenseType": compute.get("licenseType", ""),
        "nonce": nonce or f"{secrets.randbelow(10**10):010d}",
        "plan": compute.get("plan", {}),
        "sku": compute.get("sku", ""),
        "subscriptionId": compute.get("subscriptionId", ""),
        "timeStamp": {
            "createdOn": created.strftime(_TIME),
            "expiresOn": (created + _VALID).strftime(_TIME),
        },
        "vmId": compute.get("vmId", ""),
    }
    key, certificate = _signer()
    signed = (
        pkcs7.PKCS7SignatureBuilder()
        .set_data(json.dumps(content, separators=(",", ":")).encode())
        .add_signer(certificate, key, hashes.SHA256())
        .sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
    )
    return {"encoding": "pkcs7", "signature": base64.b64encode(signed).decode()}
