"""The two NFS clients and the server of tests/nfs/boot, and homes that all of them see."""
import contextlib
import os
import subprocess
import threading
import time

import harness

DISK = "/mnt/disk"
VERSIONS = ("3", "4")  # NFSv3 and NFSv4.2
INSIDE = os.path.exists(f"{DISK}/squashed")


def mount_point(host, version):
    return f"/mnt/{host}{version}"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def on_host(host, *command):
    """Runs a command in the network of a client."""
    return run("nsenter", f"--net=/run/netns/{host}", "unshare", "--uts",
               "sh", "-c", f'hostname {host}; exec "$@"', "sh", *command)


@contextlib.contextmanager
def mounted(host, version, options):
    """Another mount of the export on a client, with options and a cache of its own."""
    at = f"/mnt/extra-{host}{version}"
    os.makedirs(at, exist_ok=True)
    kind = f"vers={'3,tcp,nolock' if version == '3' else '4.2'},nosharecache,{options}"
    on_host(host, "mount", "-t", "nfs", "-o", kind,
            f"192.0.2.1:{DISK if version == '3' else '/'}", at)
    try:
        yield at
    finally:
        run("umount", "-l", at)


class Shared:
    """A home on the server. A copy of it for each host differs in the path only."""

    def __init__(self, lab, name, folder=""):
        self.name, self.folder = name, folder
        whole = harness.Lab(lab.build, os.path.join(DISK, folder))
        home = harness.Home(whole)
        os.rename(home.path, os.path.join(DISK, folder, name))
        os.unlink(home.table)
        self.maildir = harness.Maildir.__new__(harness.Maildir)
        self.maildir.path = os.fsencode(os.path.join(DISK, folder, name, "Maildir"))

    def at(self, mount):
        """The home as a host sees it: what harness.Lab.session takes."""
        return View(os.path.join(mount, self.folder, self.name))


class View:
    """A home, seen at a mount point."""

    def __init__(self, path):
        self.path = path


def deliver(maildir, name, content, mtime=None):
    """As an MDA does: written in tmp/, and renamed to new/ when it is whole."""
    temporary = maildir.add(name, content, sub="tmp", mtime=mtime)
    os.rename(temporary, maildir.at("new", name))


def fill_disk():
    """Fills the file system of the server with one file. Returns its path, for whoever removes it."""
    path = os.path.join(DISK, "full")
    with open(path, "wb") as file:
        try:
            while True:
                file.write(b"x" * 4096)
                file.flush()
        except OSError:
            pass
    return path


def stop_server():
    run("rpc.nfsd", "0")


def start_server():
    run("rpc.nfsd", "--grace-time", "10", "--lease-time", "10", "4")


def restart_server(down_seconds=1.0):
    stop_server()
    time.sleep(down_seconds)
    start_server()


class Watch:
    """The longest time that one of several threads waited for an answer."""

    def __init__(self):
        self.longest, self.lock = 0.0, threading.Lock()

    @contextlib.contextmanager
    def waiting(self):
        begin = time.monotonic()
        try:
            yield
        finally:
            with self.lock:
                self.longest = max(self.longest, time.monotonic() - begin)
