# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""NoCloud seeds, read back from the volume by mtools and as YAML, as cloud-init reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.guests.lab.programs import run_program
from tests.guests.lab.seed import write_nocloud_seed


def _read(seed: Path, name: str) -> str:
    return run_program(["mtype", "-i", str(seed), f"::{name}"])


def _read_yaml(seed: Path, name: str) -> Any:
    return yaml.safe_load(_read(seed, name))


def test_volume_has_the_label_cloud_init_looks_for(tmp_path: Path) -> None:
    seed = tmp_path / "seed.img"
    write_nocloud_seed(seed, instance_id="i-1", hostname="web")
    assert "CIDATA" in run_program(["mlabel", "-s", "-i", str(seed), "::"])


def test_identity_and_account_arrive_as_given(tmp_path: Path) -> None:
    seed = tmp_path / "seed.img"
    keys = ["ssh-ed25519 AAAA one: 'two'", "ssh-ed25519 BBBB"]
    write_nocloud_seed(seed, instance_id="i-1", hostname="web", user="admin", ssh_public_keys=keys)
    assert _read_yaml(seed, "meta-data") == {"instance-id": "i-1", "local-hostname": "web"}
    assert _read(seed, "vendor-data").startswith("#cloud-config\n")
    (account,) = _read_yaml(seed, "vendor-data")["users"]
    assert account["name"] == "admin"
    assert account["ssh_authorized_keys"] == keys
    assert account["lock_passwd"] is True
    assert "passwd" not in account


def test_password_hash_unlocks_the_account_for_ssh(tmp_path: Path) -> None:
    seed = tmp_path / "seed.img"
    write_nocloud_seed(seed, instance_id="i", hostname="h", user="admin", password_hash="$6$salt$hash")
    vendor = _read_yaml(seed, "vendor-data")
    assert vendor["users"][0]["passwd"] == "$6$salt$hash"
    assert vendor["users"][0]["lock_passwd"] is False
    assert vendor["ssh_pwauth"] is True


def test_custom_data_is_the_user_data_unchanged(tmp_path: Path) -> None:
    seed = tmp_path / "seed.img"
    script = "#!/bin/sh\necho 'ä: \"x\"' > /root/done\n"
    write_nocloud_seed(seed, instance_id="i", hostname="h", custom_data=script)
    assert _read(seed, "user-data") == script


def test_seed_grows_with_large_custom_data(tmp_path: Path) -> None:
    seed = tmp_path / "seed.img"
    text = "#cloud-config\n# " + "x" * 3_000_000 + "\n"
    write_nocloud_seed(seed, instance_id="i", hostname="h", custom_data=text)
    assert len(_read(seed, "user-data")) == len(text)


def test_no_account_is_made_without_a_user(tmp_path: Path) -> None:
    seed = tmp_path / "seed.img"
    write_nocloud_seed(seed, instance_id="i", hostname="h")
    assert _read_yaml(seed, "vendor-data") == {}


def test_second_seed_replaces_the_first(tmp_path: Path) -> None:
    seed = tmp_path / "seed.img"
    write_nocloud_seed(seed, instance_id="first", hostname="h")
    write_nocloud_seed(seed, instance_id="second", hostname="h")
    assert _read_yaml(seed, "meta-data")["instance-id"] == "second"
