# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""An HTTPS server that signs clients in and otherwise answers what a test tells it to."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from requests.structures import CaseInsensitiveDict

SUBSCRIPTION = "5ff3a7b2-0000-4000-8000-000000000001"
TENANT = "7c1de1f0-0000-4000-8000-000000000002"
CLIENT = "d6f0c6a4-0000-4000-8000-000000000003"
SECRET = "right~secret"


class Asked(NamedTuple):
    """A request as the server saw it."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Answer(NamedTuple):
    """Status 0 closes the connection without an answer."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = {}


Responder = Callable[[Asked], Answer]


def make_certificate(folder: Path, *, client: bool = False, password: bytes | None = None) -> Path:
    """A PEM file with a self-signed certificate for 127.0.0.1 (or for a service principal) and its key."""
    # Microsoft Entra ID takes RSA keys only.
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = (
        rsa.generate_private_key(65537, 2048) if client else ec.generate_private_key(ec.SECP256R1())
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client" if client else "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password)
    path = folder / ("client.pem" if client else "server.pem")
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


class ScriptedAzure:
    """Listens on loopback. ``respond`` answers everything but metadata and sign-in; ``asked`` is what it was
    asked.

    ``tokens`` counts the tokens handed out; the newest is ``token-<tokens>``.
    """

    def __init__(self, certificate: Path) -> None:
        self.certificate = certificate
        self.respond: Responder = lambda _asked: Answer(500)
        self.asked: list[Asked] = []
        self.sign_ins: list[dict[str, list[str]]] = []
        self.tokens = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                parts = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                headers = CaseInsensitiveDict(self.headers.items())
                asked = Asked(self.command, parts.path, parts.query, headers, self.rfile.read(length))
                answer = outer._answer(asked)
                if answer.status == 0:
                    self.close_connection = True
                    return
                body = answer.body if isinstance(answer.body, bytes) else b""
                if answer.body is not None and not isinstance(answer.body, bytes):
                    body = json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if body and "Content-Type" not in answer.headers:
                    self.send_header("Content-Type", "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _any  # noqa: N815 - the server looks for these

            def log_message(self, *_args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> ScriptedAzure:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, asked: Asked) -> Answer:
        if asked.path == "/metadata/endpoints":
            return Answer(body=[{"name": "Scripted", "resourceManager": self.url, **self.endpoints()}])
        if asked.path.endswith("/.well-known/openid-configuration"):
            return self._discovery(asked.path.split("/")[1])
        if asked.path.endswith("/oauth2/v2.0/token"):
            return self._token(parse_qs(asked.body.decode()))
        self.asked.append(asked)
        return self.respond(asked)

    def endpoints(self) -> dict[str, Any]:
        return {
            "authentication": {
                "loginEndpoint": self.url,
                "audiences": [f"{self.url}/arm"],
                "tenant": "common",
            },
            "suffixes": {"storage": "scripted.test"},
        }

    def _discovery(self, tenant: str) -> Answer:
        if tenant not in (TENANT, "organizations"):
            said = (
                f"AADSTS90002: Tenant '{tenant}' not found. Check that you have the correct tenant ID and "
                "are signing into the correct cloud. Trace ID: 11111111-2222 Correlation ID: 33333333-4444 "
                "Timestamp: 2026-01-02 03:04:05Z"
            )
            return Answer(400, {"error": "invalid_tenant", "error_description": said, "error_codes": [90002]})
        base = f"{self.url}/{tenant}"
        return Answer(
            body={
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "issuer": f"{self.url}/{tenant}/v2.0",
            }
        )

    def _token(self, form: dict[str, list[str]]) -> Answer:
        self.sign_ins.append(form)
        if "client_secret" in form and form["client_secret"] != [SECRET]:
            said = (
                "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent is the "
                "client secret value, not the client secret ID, for a secret added to app 'd6f0'.\r\n"
                "Trace ID: 11111111-2222\r\nCorrelation ID: 33333333-4444\r\nTimestamp: 2026-01-02 03:04:05Z"
            )
            return Answer(401, {"error": "invalid_client", "error_description": said})
        self.tokens += 1
        return Answer(
            body={"token_type": "Bearer", "expires_in": 3599, "access_token": f"token-{self.tokens}"}
        )
