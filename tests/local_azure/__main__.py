# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Command line of the local Azure: python -m tests.local_azure start|stop|status|run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.local_azure import control
from tests.local_azure.faults.rules import ProfileError, read_profile
from tests.local_azure.identity.directory import IdentityFileError
from tests.local_azure.instructions import instructions
from tests.local_azure.settings import DEFAULT_STATE_DIR, GUEST_TIMEOUT, Pace, Settings, load_or_create


def _positive(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("must be greater than 0")
    return value


def _whole(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.local_azure", description=__doc__)
    parser.add_argument("command", choices=("start", "stop", "status", "run"))
    parser.add_argument("--state-dir", type=Path, default=DEFAULT_STATE_DIR, help="default: %(default)s")
    parser.add_argument("--guests", action="store_true", help="virtual machines are real guests in QEMU")
    parser.add_argument(
        "--guest-timeout",
        type=_positive,
        default=GUEST_TIMEOUT,
        help="seconds a guest has to answer before its creation fails (default: %(default)s)",
    )
    parser.add_argument(
        "--page-size",
        type=_whole,
        help="resources on a page of any list (default: as on Azure, 50 of a type, 1000 groups)",
    )
    parser.add_argument("--port", type=int, help="port of Azure Resource Manager; chosen at the first start")
    parser.add_argument(
        "--speed",
        type=_positive,
        default=Pace.speed,
        help="how much quicker than on Azure operations are (default: %(default)s)",
    )
    parser.add_argument(
        "--retry-after",
        type=int,
        choices=(0, 1),
        default=Pace.retry_after_seconds,
        help="seconds that Retry-After asks for instead of Azure's (default: %(default)s)",
    )
    parser.add_argument("--azure-retry-after", action="store_true", help="Retry-After as Azure sends it")
    parser.add_argument("--faults", type=Path, metavar="FILE", help="profile of faults, YAML or JSON")
    parser.add_argument("--fault-seed", type=int, help="seed of faults whose profile names none")
    return parser


def _settings(arguments: argparse.Namespace) -> Settings:
    return load_or_create(
        arguments.state_dir.resolve(),
        arm_port=arguments.port,
        pace=Pace(arguments.speed, arguments.azure_retry_after, arguments.retry_after),
        with_guests=arguments.guests,
        guest_timeout=arguments.guest_timeout,
        page_size=arguments.page_size,
        faults=arguments.faults,
        fault_seed=arguments.fault_seed,
    )


def _options(arguments: argparse.Namespace) -> list[str]:
    options = ["--state-dir", str(arguments.state_dir.resolve()), "--speed", str(arguments.speed)]
    options += ["--guest-timeout", str(arguments.guest_timeout), "--retry-after", str(arguments.retry_after)]
    if arguments.page_size is not None:
        options += ["--page-size", str(arguments.page_size)]
    if arguments.port is not None:
        options += ["--port", str(arguments.port)]
    if arguments.guests:
        options.append("--guests")
    if arguments.faults is not None:
        options += ["--faults", str(arguments.faults.resolve())]
    if arguments.fault_seed is not None:
        options += ["--fault-seed", str(arguments.fault_seed)]
    if arguments.azure_retry_after:
        options.append("--azure-retry-after")
    return options


def main() -> int:
    arguments = _parser().parse_args()
    state_dir = arguments.state_dir.resolve()
    try:
        if arguments.command == "stop":
            print("Stopped." if control.stop(state_dir) else "The local Azure does not run.")
        elif arguments.command == "status":
            pid = control.running_pid(state_dir)
            if pid is None:
                print("The local Azure does not run.")
                return 3
            print(f"The local Azure runs as process {pid}.\n{instructions(load_or_create(state_dir))}")
        elif control.running_pid(state_dir) is not None:
            print(f"The local Azure runs already.\n{instructions(load_or_create(state_dir))}")
        elif arguments.command == "start":
            if arguments.faults is not None:
                read_profile(arguments.faults)
            settings = _settings(arguments)
            control.start(settings, _options(arguments))
            print(instructions(settings))
        else:
            # Only the server itself pays for loading all of it.
            from tests.local_azure.foreground import run  # noqa: PLC0415

            run(_settings(arguments))
    except (control.ControlError, IdentityFileError, ProfileError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
