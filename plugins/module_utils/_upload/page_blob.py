# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The requests of Azure's blob service that an upload needs (REST reference, "Operations on page blobs")."""

import base64
import http.client
import random
import re
import ssl
import threading
import time
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Callable, Dict, Iterator, Mapping, NamedTuple, Optional, Tuple
from xml.etree import ElementTree

from ansible_collections.goldenimage.azure.plugins.module_utils._upload.checksum import md5
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import BlobUrl, Connection
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import (
    UploadCancelledError,
    UploadError,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.exchange import Body, Response
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.ranges import Range
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.throttle import Throttle

API_VERSION = "2021-12-02"
ATTEMPTS = 8
_RETRIED = (408, 429, 500, 502, 503, 504)
# What the service says of a body that was not what its checksum said: the next try may arrive whole.
_DAMAGED = ("Md5Mismatch",)
_LONGEST_WAIT = 60.0
_METADATA = "x-ms-meta-"
# REST reference, "Get Page Ranges": the most that one answer may be asked to hold.
_RANGES_AT_ONCE = 10_000
# A new SAS can be asked for twice in one request.
_RENEWALS = 2

Authorize = Callable[[], Mapping[str, str]]
#: Gets a URL with a new SAS in place of the one that was refused; None when there is none.
Renew = Callable[[BlobUrl], Optional[BlobUrl]]


class BlobFacts(NamedTuple):
    """A blob that exists.

    `metadata` has lower-case names; `kind` is for example "PageBlob"; `created` is the time as the service
    writes it, empty where it does not; `leased`: whether somebody holds its lease.
    """

    size: int
    kind: str
    etag: str
    metadata: Dict[str, str]
    created: str = ""
    leased: bool = False


def no_authorization() -> Mapping[str, str]:
    """For a URL that carries its own SAS."""
    return {}


class PageBlob:
    """One page blob, by one connection; not to be shared by threads.

    Throttling, server errors and lost connections are repeated with growing pauses, or when Retry-After says;
    everything else raises :class:`UploadError` with the service's code and message.

    :param authorize: gives the Authorization header for every request, fresh; nothing for a SAS
    :param cancel: when it is set, pauses end and :class:`UploadCancelledError` is raised
    :param lease: the lease that writes are made under
    :param throttle: the limit that the bodies of writes keep to
    :param renew: called when the SAS has run out, for one that has not
    """

    #: What the service says of a SAS that has run out.
    expired_codes: Tuple[str, ...] = ("AuthenticationFailed",)

    def __init__(
        self,
        url: BlobUrl,
        context: Optional[ssl.SSLContext],
        authorize: Authorize = no_authorization,
        cancel: Optional[threading.Event] = None,
        *,
        lease: Optional[str] = None,
        throttle: Optional[Throttle] = None,
        renew: Optional[Renew] = None,
    ) -> None:
        self.url = url
        self._context = context
        self._connection = Connection(url, context)
        self._authorize = authorize
        self._cancel = cancel or threading.Event()
        self._lease = {"x-ms-lease-id": lease} if lease else {}
        self._throttle = throttle
        self._renew = renew

    @property
    def bytes_underway(self) -> int:
        """How much of the body that is being written has left; any thread may ask."""
        return self._connection.underway

    def put_pages(self, offset: int, data: Body, checksum: Optional[bytes] = None) -> None:
        """Write pages; their MD5 goes along, so that the service refuses what was damaged on the way.

        :param checksum: the MD5, when it is known already
        """
        headers = {
            "x-ms-page-write": "update",
            "x-ms-range": "bytes={0}-{1}".format(offset, offset + len(data) - 1),
            "Content-MD5": base64.b64encode(md5(data) if checksum is None else checksum).decode(),
        }
        headers.update(self._lease)
        self._call("PUT", "comp=page", headers, data, what="write bytes {0} and following".format(offset))

    def clear_pages(self, start: int, end: int) -> None:
        """Make pages zeros that were never written."""
        headers = {"x-ms-page-write": "clear", "x-ms-range": "bytes={0}-{1}".format(start, end - 1)}
        headers.update(self._lease)
        self._call("PUT", "comp=page", headers, what="clear bytes {0} and following".format(start))

    def get_pages(self, offset: int, length: int) -> bytes:
        """Read the blob's content."""
        headers = {"x-ms-range": "bytes={0}-{1}".format(offset, offset + length - 1)}
        what = "read bytes {0} and following".format(offset)
        for _attempt in range(ATTEMPTS):
            body = self._call("GET", "", headers, what=what).body
            if len(body) == length:
                return body
        raise UploadError("Could not {0}: {1} bytes came, not {2}".format(what, len(body), length))

    def acquire_lease(self, lease: str, seconds: int) -> None:
        """Take the blob's lease under this id, a UUID; taking one again that one has is no error."""
        headers = {
            "x-ms-lease-action": "acquire",
            "x-ms-lease-duration": str(seconds),
            "x-ms-proposed-lease-id": lease,
        }
        self._call("PUT", "comp=lease", headers, what="lease the blob")

    def renew_lease(self, lease: str) -> None:
        """Hold the lease for as long as when it was acquired."""
        headers = {"x-ms-lease-action": "renew", "x-ms-lease-id": lease}
        self._call("PUT", "comp=lease", headers, what="renew the blob's lease")

    def release_lease(self, lease: str) -> None:
        """Give the lease back; a blob or a lease that is gone already is no error."""
        headers = {"x-ms-lease-action": "release", "x-ms-lease-id": lease}
        self._call("PUT", "comp=lease", headers, what="release the blob's lease", accept=(404, 409, 412))

    def break_lease(self) -> None:
        """End the lease of whoever holds it, at once; a blob without one is no error."""
        headers = {"x-ms-lease-action": "break", "x-ms-lease-break-period": "0"}
        self._call("PUT", "comp=lease", headers, what="break the blob's lease", accept=(404, 409))

    def create(self, size: int, metadata: Mapping[str, str], replace_etag: Optional[str] = None) -> None:
        """Create the blob, empty.

        :param replace_etag: replace the blob that has this etag; without it a blob that exists is an error
        """
        headers = {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": str(size)}
        if replace_etag:
            headers["If-Match"] = replace_etag
        else:
            headers["If-None-Match"] = "*"
        headers.update({_METADATA + name: value for name, value in metadata.items()})
        self._call("PUT", "", headers, what="create the blob")

    def facts(self) -> Optional[BlobFacts]:
        """The blob's properties; None when it does not exist."""
        answer = self._call("HEAD", "", {}, what="look at the blob", accept=(404,))
        if answer.status == 404:
            if answer.headers.get("x-ms-error-code", "BlobNotFound") == "BlobNotFound":
                return None
            raise _service_error("look at the blob", answer)
        return BlobFacts(
            size=int(answer.headers.get("content-length", 0)),
            kind=answer.headers.get("x-ms-blob-type", ""),
            etag=answer.headers.get("etag", ""),
            metadata={
                name[len(_METADATA) :]: value
                for name, value in answer.headers.items()
                if name.startswith(_METADATA)
            },
            created=answer.headers.get("x-ms-creation-time", ""),
            leased=answer.headers.get("x-ms-lease-status", "") == "locked",
        )

    def set_metadata(self, metadata: Mapping[str, str]) -> None:
        """Replace all of the blob's metadata."""
        headers = {_METADATA + name: value for name, value in metadata.items()}
        headers.update(self._lease)
        self._call("PUT", "comp=metadata", headers, what="write the blob's metadata")

    def delete(self) -> None:
        """Delete the blob; one that is gone already is no error."""
        self._call("DELETE", "", self._lease, what="delete the blob", accept=(404,))

    def page_ranges(self) -> Iterator[Range]:
        """(start, end) of what was written, end exclusive, ascending, as the service cuts it."""
        marker = ""
        while True:
            query = "comp=pagelist&maxresults={0}".format(_RANGES_AT_ONCE)
            query += "&marker=" + marker if marker else ""
            answer = self._call("GET", query, {}, what="read the written ranges")
            try:
                page = ElementTree.fromstring(answer.body)  # noqa: S314 - from the authenticated service
            except ElementTree.ParseError:
                raise UploadError("The list of written ranges cannot be read: it is not XML") from None
            for item in page.iter("PageRange"):
                start, end = item.findtext("Start"), item.findtext("End")
                yield int(start or 0), int(end or 0) + 1
            marker = page.findtext("NextMarker") or ""
            if not marker:
                return

    def abort(self) -> None:
        """Make a request that another thread is waiting for fail at once."""
        self._connection.abort()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _call(
        self,
        method: str,
        query: str,
        headers: Mapping[str, str],
        body: Body = b"",
        *,
        what: str,
        accept: Tuple[int, ...] = (),
    ) -> Response:
        problem = UploadError("Could not {0}".format(what))
        renewals = 0
        throttle = self._throttle
        paced = None if throttle is None else partial(throttle.paced, cancel=self._cancel)
        for attempt in range(ATTEMPTS):
            if self._cancel.is_set():
                raise UploadCancelledError
            pause = min(0.25 * 2**attempt, 20.0) * random.uniform(0.7, 1.3)  # noqa: S311 - spreads load only
            try:
                answer = self._connection.request(method, query, self._headers(headers), body, paced)
            except (ssl.CertificateError, OSError, http.client.HTTPException) as error:
                problem = self._lost(what, error)
            else:
                if answer.status < 300 or answer.status in accept:
                    return answer
                problem = _service_error(what, answer)
                if problem.code in self.expired_codes and renewals < _RENEWALS and self._renewed():
                    renewals += 1
                    continue
                if answer.status not in _RETRIED and problem.code not in _DAMAGED:
                    raise problem
                pause = max(pause, retry_after(answer.headers))
            if attempt + 1 < ATTEMPTS and self._cancel.wait(pause):
                raise UploadCancelledError
        problem.message += " (tried {0} times)".format(ATTEMPTS)
        if problem.status is None:
            problem.message += "; check the address, the network and the proxy"
        raise UploadError(problem.message, problem.code, problem.status, problem.request_id)

    def _renewed(self) -> bool:
        """Whether there is a new SAS; requests go under it then."""
        url = self._renew(self.url) if self._renew is not None else None
        if url is None:
            return False
        self._connection.close()
        self.url = url
        self._connection = Connection(url, self._context)
        return True

    def _headers(self, headers: Mapping[str, str]) -> Dict[str, str]:
        complete = {"x-ms-version": API_VERSION}
        complete.update(self._authorize())
        complete.update(headers)
        return complete

    def _lost(self, what: str, error: Exception) -> UploadError:
        """What to say when no answer came; raises at once what no repetition can mend."""
        if self._cancel.is_set():
            raise UploadCancelledError from None
        # Python 3.6 has CertificateError beside SSLError.
        if isinstance(error, ssl.CertificateError) or (
            isinstance(error, ssl.SSLError) and "CERTIFICATE" in str(error)
        ):
            raise UploadError(
                "Could not {0} at {1}: the server's certificate is not trusted ({2}); name the CA in "
                "REQUESTS_CA_BUNDLE or SSL_CERT_FILE".format(what, self.url.host, error)
            ) from None
        return UploadError(
            "Could not {0}: no connection to {1}:{2} ({3})".format(
                what, self.url.host, self.url.port, str(error) or type(error).__name__
            )
        )


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait by the Retry-After header (RFC 9110, section 10.2.3); 0 without one."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return 0.0
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (TypeError, ValueError):
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT)


def _service_error(what: str, answer: Response) -> UploadError:
    text = answer.body.decode("utf-8", "replace")
    code = answer.headers.get("x-ms-error-code") or _element("Code", text)
    # The first line is the message; request id and time follow.
    lines = _element("Message", text).splitlines()
    detail = lines[0].strip() if lines else ""
    said = ": ".join(part for part in (code, detail) if part) or "no explanation"
    return UploadError(
        "Could not {0}: HTTP {1}, {2}".format(what, answer.status, said),
        code or None,
        answer.status,
        answer.headers.get("x-ms-request-id"),
    )


def _element(name: str, text: str) -> str:
    found = re.search("<{0}>(.*?)</{0}>".format(name), text, re.DOTALL)
    return found.group(1) if found else ""
