# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Generalizing the running host: every check first, then what can go at once, then the order for the rest."""

import os
import pwd
from typing import List, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest import detach, host, session
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.free_space import (
    KEEP,
    check_free_space,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.job import Job
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.obstacles import check_removable
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.production import (
    Signs,
    check_not_in_production,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.programs import check_root
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.removal import Found, find, remove
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.trace import Trace
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import Selection, selected

_NO_LOGIN_ID = (1 << 32) - 1


class Order(NamedTuple):
    """What the user wants.

    `confirm` must name the host, and so must `vm_id`, Azure's id of it, unless it is empty; `accounts` are
    removed, with `own_account` also the one the session is of; `agent` is whether waagent deprovisions the
    host; `session_timeout` is how long the last step waits for the session to end, in seconds; a host with
    one of `signs` is refused; `free_space` is one of :data:`free_space.CHOICES`.
    """

    confirm: str
    accounts: Tuple[str, ...]
    own_account: bool
    selection: Selection
    agent: bool
    power_off: bool
    session_timeout: float
    signs: Signs = Signs()
    free_space: str = KEEP
    vm_id: str = ""


class Plan(NamedTuple):
    """An order that passed every check, and what it would remove: at once, and in the last step."""

    order: Order
    identity: host.Identity
    accounts: Tuple[str, ...]
    agent: str
    at_once: List[Found]
    last: List[Found]


def plan(order: Order) -> Plan:
    """Check everything that can be checked and find the traces; nothing is changed."""
    host.check_platform()
    root = LiveRoot("/")
    identity = host.identify(Guest(root))
    host.check_confirmed(identity, order.confirm)
    host.check_vm(identity, order.vm_id)
    host.check_distribution(Guest(root), identity)
    check_root("Generalizing")
    check_not_in_production(order.signs, identity.hostname)
    check_free_space(order.free_space)
    traces = selected(order.selection)
    accounts = list(order.accounts)
    own = own_account() if order.own_account else None
    if own is not None and own not in accounts:
        accounts.append(own)
    host.check_accounts(Guest(root), accounts)
    agent = host.find_agent(Guest(root)) if order.agent else ""
    if any(trace.id == "ssh-host-keys" for trace in traces):
        host.check_new_host_keys(Guest(root), order.agent)
    guest = Guest(root, accounts, identity.names)
    at_once, last = [find(guest, part) for part in _split(traces)]
    check_removable(root, [found.path for found in at_once + last])
    return Plan(order, identity, tuple(accounts), agent, at_once, last)


def carry_out(planned: Plan) -> List[Found]:
    """Remove what the session does not need and start the last step; what was removed at once is returned."""
    order, identity = planned.order, planned.identity
    guest = Guest(LiveRoot("/"), planned.accounts, identity.names)
    caller = session.process(os.getpid())
    if caller is None:
        raise GuestError("/proc does not show this process; mount it")
    done = remove(guest, _split(selected(order.selection))[0])
    if done.failures:
        raise GuestError("some traces could not be removed: {0}".format("; ".join(done.failures)))
    detach.start(
        Job(
            accounts=planned.accounts,
            hostnames=identity.names,
            machine_id=identity.machine_id,
            selection=order.selection,
            agent=planned.agent,
            power_off=order.power_off,
            caller=caller,
            connection=session.connection_of(os.getpid()),
            session_timeout=order.session_timeout,
            free_space=order.free_space,
        )
    )
    return done.removed


def own_account() -> Optional[str]:
    """The account the session was opened with, before any sudo; None when it is root or nobody's."""
    connection = session.connection_of(os.getpid())
    candidates = [
        _login_id(),
        os.environ.get("SUDO_UID", ""),
        "" if connection is None else str(session.owner(connection.pid)),
    ]
    for candidate in candidates:
        if candidate.isdigit() and int(candidate) not in {0, _NO_LOGIN_ID}:
            try:
                return pwd.getpwuid(int(candidate)).pw_name
            except KeyError:
                continue
    return None


def _login_id() -> str:
    """The user id that logged in, which sudo does not change: audit_getloginuid(3)."""
    try:
        with open("/proc/self/loginuid", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _split(traces: List[Trace]) -> Tuple[List[Trace], List[Trace]]:
    return [trace for trace in traces if not trace.last], [trace for trace in traces if trace.last]
