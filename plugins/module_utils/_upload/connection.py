# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""One keep-alive HTTPS connection to a blob, through a proxy where the environment names one."""

import base64
import http.client
import os
import socket
import ssl
from typing import BinaryIO, Callable, Iterable, Iterator, Mapping, NamedTuple, Optional, Tuple, cast
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.exchange import (
    Body,
    Response,
    head_of,
    is_request_target,
    receive,
    send,
)

#: Cuts a body into slices and hands each out when it may be sent.
Paced = Callable[[Body], Iterable[Body]]
USER_AGENT = "goldenimage.azure"
# What is handed to the socket at once: small enough to tell how far a request is on a slow line.
_SLICE = 1 << 20
_DEFAULT_PORTS = {"https": 443, "http": 80}


class BlobUrl(NamedTuple):
    """A blob's address in its parts. `query` is the SAS without "?", a secret; `str()` leaves it out."""

    scheme: str
    host: str
    port: int
    path: str
    query: str

    @property
    def authority(self) -> str:
        """Host, and port where it is not the scheme's own."""
        host = "[{0}]".format(self.host) if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else "{0}:{1}".format(host, self.port)

    def __str__(self) -> str:
        return "{0}://{1}{2}".format(self.scheme, self.authority, self.path)

    def __repr__(self) -> str:
        return "BlobUrl({0})".format(self)


def parse_blob_url(url: str) -> BlobUrl:
    """Take a blob's URL, with or without a SAS, apart; anything else raises :class:`UploadError`."""
    parts = urlsplit(url)
    default = _DEFAULT_PORTS.get(parts.scheme, 0)
    try:
        port = parts.port or default
    except ValueError:
        port = 0
    if not port or not parts.hostname or parts.path.count("/") < 2:
        raise UploadError(
            "This is not the URL of a blob: {0}; it looks like "
            "https://account.blob.core.windows.net/container/name.vhd".format(url.split("?", 1)[0])
        )
    if not is_request_target(parts.path + parts.query):
        raise UploadError(
            "The URL of the blob has spaces or other characters that must be percent-encoded: {0}".format(
                url.split("?", 1)[0]
            )
        )
    return BlobUrl(parts.scheme, parts.hostname, port, parts.path, parts.query)


def tls_context(environ: Mapping[str, str], verify: bool = True) -> ssl.SSLContext:
    """Trust the CAs that the Azure SDK trusts: REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE, else the system's.

    OpenSSL itself follows SSL_CERT_FILE and SSL_CERT_DIR for the system's.
    """
    bundle = environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE")
    try:
        if bundle and os.path.isdir(bundle):
            context = ssl.create_default_context(capath=bundle)
        else:
            context = ssl.create_default_context(cafile=bundle or None)
    except (OSError, ssl.SSLError) as error:
        raise UploadError("The CA bundle {0} cannot be used: {1}".format(bundle, error)) from None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Trust:
    """The TLS context of all connections of a task.

    Made when it is first wanted: reading a system's CAs takes as long as some of an upload, and plain HTTP
    needs none.

    :param verify: False leaves certificates unchecked
    """

    def __init__(self, verify: bool = True) -> None:
        self._verify = verify
        self._context: Optional[ssl.SSLContext] = None

    def context_for(self, url: BlobUrl) -> Optional[ssl.SSLContext]:
        """None for a URL of plain HTTP; a CA bundle that cannot be used raises :class:`UploadError`."""
        if url.scheme == "https" and self._context is None:
            self._context = tls_context(os.environ, self._verify)
        return self._context


def _slices(body: Body) -> Iterator[Body]:
    if len(body) <= _SLICE:
        yield body
        return
    view = memoryview(body)
    for start in range(0, len(view), _SLICE):
        yield view[start : start + _SLICE]


class Connection:
    """Requests one after another over one connection, which is opened when it is needed.

    Every failure of the transport is an :class:`OSError` or :class:`http.client.HTTPException`; the
    connection is closed then, and the next request opens a new one.
    """

    def __init__(self, url: BlobUrl, context: Optional[ssl.SSLContext], timeout: float = 90.0) -> None:
        self._url = url
        self._context = context
        self._timeout = timeout
        # It connects, through a proxy where there is one; the exchanges over its socket are our own.
        self._http: Optional[http.client.HTTPConnection] = None
        self._answers: Optional[BinaryIO] = None
        self._aborted = False
        #: Bytes of the present request's body that the socket has taken.
        self.underway = 0

    def request(
        self,
        method: str,
        query: str,
        headers: Mapping[str, str],
        body: Body = b"",
        paced: Optional[Paced] = None,
    ) -> Response:
        """Send one request to the blob's path and read the whole answer.

        :param query: what comes before the SAS, for example "comp=page"; may be empty
        """
        target = self._url.path
        parameters = "&".join(part for part in (query, self._url.query) if part)
        if parameters:
            target += "?" + parameters
        fields = {"User-Agent": USER_AGENT, "Content-Length": str(len(body))}
        fields.update(headers)
        head = head_of(method, target, self._url.authority, fields)
        try:
            sock, answers = self._connected()
            # Asked after the socket is there: abort() saw the socket, or this sees the flag.
            if self._aborted:
                raise ConnectionAbortedError("aborted")
            send(sock, head, self._counted(_slices(body) if paced is None or not len(body) else paced(body)))
            answer = receive(answers, method)
        except BaseException:
            # Whatever came in between, the next request must not read the rest of this one's answer.
            self.close()
            raise
        finally:
            self.underway = 0
        if answer.last:
            self.close()
        return answer

    def _counted(self, parts: Iterable[Body]) -> Iterator[Body]:
        for part in parts:
            yield part
            self.underway += len(part)

    def _connected(self) -> Tuple[socket.socket, BinaryIO]:
        """The socket and what its answers are read from; connects where that was not done yet."""
        if self._http is None or self._answers is None:
            self._http = self._open()
            self._http.connect()
            self._answers = cast("BinaryIO", self._http.sock.makefile("rb"))
        return self._http.sock, self._answers

    def _open(self) -> http.client.HTTPConnection:
        proxy = getproxies_environment().get(self._url.scheme)
        if proxy and proxy_bypass("{0}:{1}".format(self._url.host, self._url.port)):
            proxy = None
        if self._url.scheme == "http" and not proxy:
            return http.client.HTTPConnection(self._url.host, self._url.port, timeout=self._timeout)
        if not proxy:
            return http.client.HTTPSConnection(
                self._url.host, self._url.port, timeout=self._timeout, context=self._context
            )
        return self._through(proxy)

    def _through(self, proxy: str) -> http.client.HTTPConnection:
        parts = urlsplit(proxy if "://" in proxy else "http://" + proxy)
        headers = {}
        if parts.username:
            user = "{0}:{1}".format(unquote(parts.username), unquote(parts.password or ""))
            headers["Proxy-Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
        host, port = parts.hostname or "", parts.port or 3128
        made: http.client.HTTPConnection
        if self._url.scheme == "https":
            made = http.client.HTTPSConnection(host, port, timeout=self._timeout, context=self._context)
        else:
            made = http.client.HTTPConnection(host, port, timeout=self._timeout)
        made.set_tunnel(self._url.host, self._url.port, headers)
        return made

    def abort(self) -> None:
        """Make the request that another thread is waiting for, and all later ones, fail at once."""
        self._aborted = True
        connection = self._http
        sock = getattr(connection, "sock", None)
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # already closed by the other side

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._answers is not None:
            self._answers.close()
            self._answers = None
        if self._http is not None:
            self._http.close()
            self._http = None
