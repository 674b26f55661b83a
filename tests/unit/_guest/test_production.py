# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Signs of production, which only the user knows, stop whoever confirms the wrong host."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.production import (
    Signs,
    check_not_in_production,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError

from tests.unit._guest.planting import write

TCP = "  sl  local_address rem_address   st\n   0: 00000000:1538 00000000:0000 0A 0\n"
# A connection to somebody else's web server, which is no sign.
TCP += "   1: 0A00000A:01BB 0B00000A:01BB 01 0\n"
UDP6 = "  sl  local_address\n  5: 00000000000000000000000000000000:0202 0000:0000 07 0\n"


@pytest.fixture
def proc(tmp_path: Path) -> str:
    """A host that runs PostgreSQL and a Java program, has mounts, and is up for 30 hours."""
    for path, text in {
        "/7/comm": "postgres\n",
        "/7/cmdline": "postgres: checkpointer \0",
        "/8/comm": "catalina\n",
        "/8/cmdline": "/usr/lib/jvm/bin/java\0-Xmx1g\0",
        "/9/comm": "kthreadd\n",
        "/9/cmdline": "",
        "/net/tcp": TCP,
        "/net/udp6": UDP6,
        "/self/mounts": "/dev/sda1 / ext4 rw 0 0\nnas:/x /srv/my\\040data nfs4 rw 0 0\n",
        "/uptime": "108000.25 99.0\n",
    }.items():
        write(tmp_path, path, text.encode())
    return str(tmp_path)


@pytest.mark.parametrize(
    ("signs", "named"),
    [
        (Signs(processes=("postgres",)), "process postgres runs"),
        (Signs(processes=("jav?",)), "process java runs"),
        (Signs(processes=("catalin*",)), "process catalina runs"),
        (Signs(ports=(5432,)), "something listens on port 5432"),
        (Signs(ports=(514,)), "something listens on port 514"),
        (Signs(mounts=("nfs*",)), r"/srv/my data \(nfs4\) is mounted"),
        (Signs(mounts=("/srv/*",)), r"/srv/my data \(nfs4\) is mounted"),
        (Signs(mounts=("/srv/my data/",)), r"/srv/my data \(nfs4\) is mounted"),
        (Signs(uptime=29), "it has been up for 30 hours, more than 29"),
    ],
)
def test_host_with_a_sign_is_refused(signs: Signs, named: str, proc: str) -> None:
    with pytest.raises(GuestError, match=f"web1 looks like a host in use: {named}; nothing was changed"):
        check_not_in_production(signs, "web1", proc)


def test_every_sign_that_is_seen_is_named(proc: str) -> None:
    signs = Signs(("postgres", "java", "nginx"), (5432, 443), ("ext4",), 1)
    with pytest.raises(GuestError) as refused:
        check_not_in_production(signs, "web1", proc)
    assert str(refused.value).count(";") == 5
    assert "nginx" not in str(refused.value)
    assert "443" not in str(refused.value)


def test_host_without_the_signs_passes(proc: str) -> None:
    check_not_in_production(Signs(("nginx", "post"), (80, 443, 22), ("/data*", "xfs"), 31), "web1", proc)
    check_not_in_production(Signs(), "web1", "/nowhere")


@pytest.mark.parametrize("signs", [Signs(ports=(0,)), Signs(ports=(70000,)), Signs(uptime=-1)])
def test_sign_that_could_never_be_seen_is_refused(signs: Signs, proc: str) -> None:
    with pytest.raises(GuestError, match="refuse_"):
        check_not_in_production(signs, "web1", proc)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks at this host")
def test_signs_are_seen_on_a_real_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        name = Path(f"/proc/{os.getpid()}/comm").read_text().strip()
        with pytest.raises(GuestError) as refused:
            check_not_in_production(Signs((name,), (port,), ("/",)), "here")
    for sign in (f"process {name} runs", f"port {port}", "/ ("):
        assert sign in str(refused.value)
