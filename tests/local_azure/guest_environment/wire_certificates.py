# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The machine's certificates, encrypted for the guest alone, as the wire server hands them out.

A PKCS #12 file with an empty password inside a CMS envelope for the certificate that the guest sends with its
request. There is one certificate, by which Azure's extensions would get their protected settings.
"""

from __future__ import annotations

import functools
import re
import tempfile
from pathlib import Path

from tests.guests.lab.programs import run_program

_CIPHERS = {"DES_EDE3_CBC": "-des3", "AES128_CBC": "-aes-128-cbc"}
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")


class CertificateError(Exception):
    """The request's certificate or cipher is none that anything can be encrypted with."""


@functools.lru_cache(maxsize=1)
def _key_and_certificate() -> str:
    """In PEM; the same as long as the environment lives."""
    subject = ["-subj", "/CN=Windows Azure CRP Certificate Generator", "-days", "365"]
    return run_program(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, "-keyout", "-"])


def encrypted_certificates(recipient: str, cipher: str) -> str:
    """The envelope in lines of base64. `recipient`: the guest's certificate, base64 without PEM's lines.

    Raises CertificateError for an unknown cipher and what is no base64, ProgramError for no certificate.
    """
    if cipher not in _CIPHERS or not _BASE64.fullmatch(recipient):
        raise CertificateError(f"Cipher {cipher!r} with certificate {recipient[:40]!r}")
    with tempfile.TemporaryDirectory(prefix="certificates-") as directory:
        folder = Path(directory)
        wrapped = "\n".join(re.findall(".{1,64}", re.sub(r"\s", "", recipient)))
        (folder / "recipient").write_text(
            f"-----BEGIN CERTIFICATE-----\n{wrapped}\n-----END CERTIFICATE-----\n"
        )
        packed = str(folder / "packed")
        pack = ["openssl", "pkcs12", "-export", "-passout", "pass:", "-out", packed]
        run_program(pack, stdin=_key_and_certificate())
        envelope = ["-binary", "-outform", "PEM", "-in", packed, _CIPHERS[cipher]]
        text = run_program(["openssl", "cms", "-encrypt", *envelope, str(folder / "recipient")])
    # In lines, as in a mail: what reads it takes no long ones.
    return "\n".join(line for line in text.splitlines() if not line.startswith("-----"))
