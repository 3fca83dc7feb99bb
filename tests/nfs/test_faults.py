"""Faults of NFS under sessions on two hosts at once on one Maildir: nothing that was acknowledged is
undone, nothing is lost or served wrongly, and no unique id changes.
"""
import json
import os
import time

import pytest

import hosts
from soak import Soak

pytestmark = pytest.mark.skipif(not hosts.INSIDE, reason="make check-nfs runs it, in a kernel of its own")

SECONDS = int(os.environ.get("NFS_SOAK_SECONDS", "20"))


def cut_network():
    """Client b is without its network for five seconds."""
    hosts.run("ip", "link", "set", "to-b", "down")
    time.sleep(5)
    hosts.run("ip", "link", "set", "to-b", "up")


def take_export_back():
    """All file handles are stale for two seconds."""
    hosts.run("exportfs", "-u", "*:/mnt/disk")
    time.sleep(2)
    hosts.run("exportfs", "-i", "-o", "rw,no_root_squash,fsid=0,insecure,no_subtree_check", "*:/mnt/disk")


def fill_disk():
    """The file system is full for five seconds."""
    full = hosts.fill_disk()
    time.sleep(5)
    os.unlink(full)


def drop_caches():
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("3")


FAULTS = {
    "none": None, "server restarted": hosts.restart_server, "server away for 20 s": lambda: hosts.restart_server(20),
    "network of b cut": cut_network, "export taken back": take_export_back, "disk full": fill_disk,
    "caches dropped": drop_caches,
}


@pytest.mark.parametrize("index", ((), ("--no-index",)), ids=("index", "no-index"))
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("version", ("33", "44", "34"))
def test_fault(lab, version, fault, index):
    home = hosts.Shared(lab, f"fault-{version}-{fault}-{len(index)}".replace(" ", "-"))
    views = [home.at(hosts.mount_point(host, number))
             for host, number in zip("ab", version) for _ in range(2)]
    soak = Soak(lab, home, views, index)
    soak.run(SECONDS, FAULTS[fault])
    print(json.dumps(soak.row(fault, version)), flush=True)
    assert not soak.model.problems, soak.model.problems[:10]
