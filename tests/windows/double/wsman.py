# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The few messages of WS-Management that carry a PowerShell session: requests read, and answers written.

MS-WSMV and MS-PSRP, as far as pypsrp uses them.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

_NAMES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "rsp": "http://schemas.microsoft.com/wbem/wsman/1/windows/shell",
    "x": "http://schemas.xmlsoap.org/ws/2004/09/transfer",
    "ps": "http://schemas.microsoft.com/powershell",
    "cfg": "http://schemas.microsoft.com/wbem/wsman/1/config",
}
_DECLARED = " ".join(f"xmlns:{prefix}={quoteattr(name)}" for prefix, name in _NAMES.items() if prefix != "ps")
_RESOURCE = "http://schemas.microsoft.com/powershell/Microsoft.PowerShell"
_DONE = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState/Done"
# Bytes of an envelope: what Windows allows by default.
_ENVELOPE_KIB = 500


@dataclass(frozen=True)
class Request:
    """`verb` is the last part of the action: Create, Command, Send, Receive, Signal, Delete or Get.

    `data` is the PSRP fragment that it carries; `command` the pipeline that it is about.
    """

    verb: str
    action: str
    message: str
    shell: str | None
    command: uuid.UUID | None
    data: bytes


def read(body: bytes) -> Request:
    """A request. Raises ValueError for what is none."""
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - our own client's, on loopback
    except ElementTree.ParseError as error:
        raise ValueError(f"no XML: {error}") from error
    action = _text(root, "s:Header/a:Action")
    verb = action.rsplit("/", 1)[-1]
    shell, command, data = _text(root, "s:Header/w:SelectorSet/w:Selector"), "", ""
    if verb == "Create":
        made = root.find("s:Body/rsp:Shell", _NAMES)
        shell = made.get("ShellId", "") if made is not None else ""
        data = _text(root, "s:Body/rsp:Shell/ps:creationXml")
    elif verb == "Command":
        line = root.find("s:Body/rsp:CommandLine", _NAMES)
        command = line.get("CommandId", "") if line is not None else ""
        data = _text(root, "s:Body/rsp:CommandLine/rsp:Arguments")
    elif verb in ("Send", "Receive", "Signal"):
        place = {
            "Send": "rsp:Send/rsp:Stream",
            "Receive": "rsp:Receive/rsp:DesiredStream",
            "Signal": "rsp:Signal",
        }
        stream = root.find(f"s:Body/{place[verb]}", _NAMES)
        command = stream.get("CommandId", "") if stream is not None else ""
        data = (stream.text or "") if stream is not None and verb == "Send" else ""
    return Request(
        verb=verb,
        action=action,
        message=_text(root, "s:Header/a:MessageID"),
        shell=shell.upper() or None,
        command=uuid.UUID(command) if command else None,
        data=base64.b64decode(data),
    )


def _text(root: ElementTree.Element, path: str) -> str:
    return (root.findtext(path, "", _NAMES) or "").strip()


def answer(request: Request, body: str = "") -> bytes:
    """The answer to a request, with what belongs in its body."""
    header = (
        f"<a:Action>{escape(request.action)}Response</a:Action>"
        f"<a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID>"
        f"<a:RelatesTo>{escape(request.message)}</a:RelatesTo>"
    )
    return (
        f"<s:Envelope {_DECLARED}><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>".encode()
    )


def created(shell: str) -> str:
    """The body that says that a shell is there."""
    selector = f'<w:SelectorSet><w:Selector Name="ShellId">{shell}</w:Selector></w:SelectorSet>'
    return (
        f"<x:ResourceCreated><a:ReferenceParameters>{selector}</a:ReferenceParameters></x:ResourceCreated>"
        f"<rsp:Shell><rsp:ShellId>{shell}</rsp:ShellId>"
        f"<rsp:ResourceUri>{_RESOURCE}</rsp:ResourceUri></rsp:Shell>"
    )


def begun(command: uuid.UUID) -> str:
    """The body that says that a pipeline has begun."""
    return f"<rsp:CommandResponse><rsp:CommandId>{_id(command)}</rsp:CommandId></rsp:CommandResponse>"


def received(fragments: Sequence[bytes], command: uuid.UUID | None, done: bool) -> str:
    """The body that hands over fragments of a pipeline, or of the shell where there is no command."""
    of = f' CommandId="{_id(command)}"' if command else ""
    streams = "".join(
        f'<rsp:Stream Name="stdout"{of}>{base64.b64encode(each).decode()}</rsp:Stream>' for each in fragments
    )
    state = f'<rsp:CommandState{of} State="{_DONE}"/>' if done else ""
    return f"<rsp:ReceiveResponse>{streams}{state}</rsp:ReceiveResponse>"


def configuration() -> str:
    """The body that says how large an envelope may be."""
    return f"<cfg:Config><cfg:MaxEnvelopeSizekb>{_ENVELOPE_KIB}</cfg:MaxEnvelopeSizekb></cfg:Config>"


def _id(command: uuid.UUID) -> str:
    return str(command).upper()
