"""Control groups of the bare cluster, on folders that look like a kernel's."""

from __future__ import annotations

from pathlib import Path

from local.bare.cgroups import Cgroups


def hybrid(mount: Path) -> Path:
    """Version 1 with systemd's version 2 beside it."""
    for name in ("cpuset", "memory", "unified"):
        (mount / name).mkdir()
        (mount / name / "cgroup.procs").touch()
    return mount


def test_a_hybrid_machine_gets_a_group_for_each_hierarchy_of_version_1(tmp_path: Path) -> None:
    groups = Cgroups(hybrid(tmp_path))
    assert not groups.exists()
    groups.up()
    assert groups.exists()
    assert sorted(path.parent.name for path in tmp_path.glob("*/slipway")) == ["cpuset", "memory"]


def test_down_removes_what_runc_left_beside_them(tmp_path: Path) -> None:
    groups = Cgroups(hybrid(tmp_path))
    groups.up()
    (tmp_path / "memory" / "slipway" / "kubepods" / "pod1").mkdir(parents=True)
    (tmp_path / "unified" / "slipway" / "kubepods" / "pod1" / "container").mkdir(parents=True)
    assert groups.down()
    assert not list(tmp_path.glob("*/slipway"))


def test_a_group_that_is_in_use_is_told(tmp_path: Path) -> None:
    groups = Cgroups(hybrid(tmp_path))
    groups.up()
    (tmp_path / "memory" / "slipway" / "tasks").touch()
    assert not groups.down()
