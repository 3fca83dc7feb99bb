"""Hosts on one machine: three nodes with a replicated GlusterFS and pop3d, a fourth that only mounts
it, and HAProxy in front of them.

Each host is a process with namespaces of its own for mounts, the network and the host name. It has
an overlay over /etc and file systems in memory for everything that it writes, so the files of
doc/examples/cluster stand on it where they say, unchanged. All of this runs in the namespaces that
`enter` makes; with its first process everything ends, and nothing is left on the machine.
"""
import os
import shutil
import subprocess
import sys
import time

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RECIPE = os.path.join(TREE, "doc", "examples", "cluster")
MAIL_UID = 4000
BALANCER = "192.0.2.1"
BALANCER6 = "2001:db8::1"
# Clients have addresses of these networks, each a /64 of its own.
CLIENTS6 = "2001:db8:100::/40"
NODES = {1: "192.0.2.11", 2: "192.0.2.12", 3: "192.0.2.13", 4: "192.0.2.14"}
PACKAGES = {"glusterd": "glusterfs-server", "glusterfs": "glusterfs-client", "haproxy": "haproxy",
            "xinetd": "xinetd", "ip": "iproute2", "openssl": "openssl", "socat": "socat", "mkfs.ext4": "e2fsprogs"}
WORK = "/run/cluster"

HOST = """
mount --make-rprivate /
mount -t tmpfs tmpfs /srv
mount -t tmpfs tmpfs /var/lib/glusterd
mount -t tmpfs tmpfs /var/log/glusterfs
mkdir -p /srv/etc/upper /srv/etc/work /srv/brick /srv/mail /srv/kept
mount --bind "$1" /srv/kept
mount -t tmpfs tmpfs /run
mkdir -p "$1" /run/gluster /run/haproxy
mount --move /srv/kept "$1"
if [ -n "$3" ]; then
	# Not in memory itself: there a position in a directory does not outlast a change, and GlusterFS
	# continues to read at such positions.
	truncate -s 2G /srv/disk
	mkfs.ext4 -q /srv/disk
	mount -o loop /srv/disk /srv/brick
fi
mount -t overlay -o lowerdir=/etc,upperdir=/srv/etc/upper,workdir=/srv/etc/work overlay /etc
mount --bind "$1/bin" /usr/local/sbin
hostname "$2"
ip link set lo up
echo ready
exec sleep infinity
"""


class Missing(Exception):
    """What this machine lacks for a cluster."""


def demand():
    """Raises Missing with a reason if no cluster can run here."""
    if os.getuid() != 0:
        raise Missing("needs root")
    if not os.path.exists("/dev/fuse"):
        raise Missing("there is no /dev/fuse")
    for program, package in PACKAGES.items():
        if shutil.which(program) is None:
            raise Missing(f"{program} is not installed (package {package}; ./bootstrap cluster)")


def enter():
    """Runs this program again in namespaces that end with it, as a child of a shell that reaps."""
    if os.environ.get("POP3D_IN_CLUSTER"):
        return
    os.environ["POP3D_IN_CLUSTER"] = "yes"
    try:
        os.execvp("unshare", ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--mount",
                              "--net", "--uts", "--ipc", "sh", "-c", '"$@" & wait $!', "sh",
                              sys.executable, *sys.argv])
    except OSError as error:
        raise Missing(f"unshare: {error}") from error


def run(*words, **how):
    """A command that must succeed; returns its output."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, **how)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def wait_for(what, condition, seconds=60.0):
    """Waits until the condition is true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.1)
    return value


class Host:
    """A host of the cluster."""

    def __init__(self, name, *addresses, has_brick=False):
        self.name = name
        self.running = {}
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--uts", "sh", "-euc", HOST, "sh", WORK, name,
             "brick" if has_brick else ""],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != "ready\n":
            raise RuntimeError(f"{name}: no namespaces")
        self.link = "to-" + name
        run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns",
            str(self.holder.pid))
        run("ip", "link", "set", self.link, "master", "br0", "up")
        for address in addresses:
            self.run("ip", "addr", "add", address, "dev", "eth0", *["nodad"] * (":" in address))
        self.run("ip", "link", "set", "eth0", "up")
        os.makedirs(self.log_directory, exist_ok=True)

    @property
    def log_directory(self):
        """Where output of its programs goes, outside of it."""
        return os.path.join(WORK, self.name)

    def inside(self, *words):
        """The command line that runs a command on this host."""
        return ["nsenter", "-t", str(self.holder.pid), "-m", "-n", "-u", "--", *words]

    def run(self, *words, **how):
        """Runs a command there; returns its output."""
        return run(*self.inside(*words), **how)

    def path(self, path):
        """A path of the host, as other hosts reach it."""
        return f"/proc/{self.holder.pid}/root{path}"

    def write(self, path, content, mode=0o644):
        """Replaces a file of the host in one step."""
        target = self.path(path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target + ".new", "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content if isinstance(content, bytes) else content.encode())
        os.rename(target + ".new", target)

    def take(self, path, name):
        """Puts a file of the recipe there."""
        with open(os.path.join(RECIPE, name), "rb") as file:
            self.write(path, file.read())

    def start(self, *words):
        """Starts a program that stays."""
        with open(os.path.join(self.log_directory, os.path.basename(words[0])), "ab") as log:
            self.running[words[0]] = subprocess.Popen(
                self.inside(*words), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)

    def pids(self, *names):
        """Its processes with these names."""
        found = []
        network = os.readlink(f"/proc/{self.holder.pid}/ns/net")
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/comm", encoding="latin-1") as file:
                    if file.read().rstrip("\n") in names and \
                            os.readlink(f"/proc/{pid}/ns/net") == network:
                        found.append(int(pid))
            except OSError:
                continue  # it has ended
        return found

    def plug(self, is_connected):
        """Connects it to the network, or cuts it off without a word."""
        run("ip", "link", "set", self.link, "up" if is_connected else "down")


class Node(Host):
    """A host with pop3d and the volume."""

    def __init__(self, number):
        super().__init__(f"node{number}", NODES[number] + "/24", has_brick=number < 4)
        self.number = number

    def prepare(self, files):
        """files: the contents of /etc/pop3d, the same on every node."""
        with open(self.path("/etc/passwd"), encoding="utf-8") as file:
            accounts = file.read()
        self.write("/etc/passwd", accounts + f"vmail:x:{MAIL_UID}:{MAIL_UID}::/srv/mail:/bin/sh\n")
        for name, content in files.items():
            self.write(f"/etc/pop3d/{name}", content, 0o600)
        self.take("/etc/fstab", "fstab")
        self.take("/etc/xinetd.d/pop3d", "xinetd")

    def mount(self):
        """Mounts the volume as fstab says."""
        self.run("mount", "/srv/mail")

    def start_pop3d(self):
        """Starts xinetd with the recipe alone."""
        self.start("xinetd", "-dontfork", "-f", "/etc/xinetd.d/pop3d")
        wait_for("xinetd", lambda: ":1110" in self.run("ss", "-ltnH"))

    def stop_pop3d(self):
        """Stops xinetd. Its sessions go on."""
        xinetd = self.running.pop("xinetd")
        for pid in self.pids("xinetd"):
            os.kill(pid, 15)
        xinetd.wait()


class Cluster:
    """The hosts; nodes is a dictionary by number."""

    def __init__(self, build, users, ping_timeout):
        run("mount", "-t", "tmpfs", "tmpfs", "/run")
        os.makedirs(os.path.join(WORK, "bin"))
        for name in ("pop3d", "pop3d-checkpw", "pop3d-checkpw-host", "pop3d-tls"):
            shutil.copy(os.path.join(build, name), os.path.join(WORK, "bin"))
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "br0", "type", "bridge")
        run("ip", "addr", "add", "192.0.2.200/24", "dev", "br0")
        run("ip", "addr", "add", "2001:db8::200/64", "dev", "br0", "nodad")
        run("ip", "link", "set", "br0", "up")
        run("ip", "-6", "route", "add", "local", CLIENTS6, "dev", "lo")
        # clients have any address of that route
        with open("/proc/sys/net/ipv6/ip_nonlocal_bind", "w", encoding="ascii") as file:
            file.write("1")
        self.ping_timeout = ping_timeout
        self.balancer = Host("balancer", BALANCER + "/24", BALANCER6 + "/64")
        self.balancer.run("ip", "-6", "route", "add", CLIENTS6, "via", "2001:db8::200")
        self.nodes = {number: Node(number) for number in NODES}
        self.files = self.make_files(users)
        for node in self.nodes.values():
            node.prepare(self.files)

    @property
    def bricks(self):
        """The nodes that hold mail."""
        return [self.nodes[number] for number in (1, 2, 3)]

    def make_files(self, users):
        """What all nodes have in /etc/pop3d."""
        tickets = os.path.join(WORK, "tickets")
        run(os.path.join(WORK, "bin", "pop3d-tls"), "--make-ticket-keys", tickets)
        hashed = {word: run("openssl", "passwd", "-6", word).strip() for word in ("secret", "check-only")}
        lines = [f"{user}:{hashed['check-only' if user == 'monitor' else 'secret']}:{MAIL_UID}:"
                 f"{MAIL_UID}:/srv/mail/{user}\n" for user in ["monitor", *users]]
        with open(tickets, "rb") as file:
            return {"passwd": "".join(lines), "tickets": file.read(), "tls.pem": make_certificate(1)}

    def start(self):
        """Makes the volume, mounts it everywhere, starts pop3d and HAProxy."""
        for node in self.bricks:
            node.start("glusterd", "-N")
        for node in self.bricks:
            wait_for("glusterd", lambda node=node: self.gluster("peer", "status", node=node))
        self.run_recipe("volume")
        if self.ping_timeout is not None:
            self.gluster("volume", "set", "mail", "network.ping-timeout", str(self.ping_timeout))
        self.ping_timeout = int(self.gluster("volume", "get", "mail", "network.ping-timeout").split()[-1])
        for node in self.nodes.values():
            node.mount()

    def run_recipe(self, name):
        """Runs a script of the recipe on node 1."""
        self.nodes[1].run("sh", os.path.join(RECIPE, name))

    def serve(self):
        """Starts pop3d on the three nodes, and HAProxy."""
        for node in self.bricks:
            node.start_pop3d()
        self.balancer.take("/etc/haproxy/haproxy.cfg", "haproxy.cfg")
        self.balancer.write("/etc/pop3d/tls.pem", self.files["tls.pem"], 0o600)
        self.balancer.start("haproxy", "-W", "-f", "/etc/haproxy/haproxy.cfg")
        wait_for("HAProxy", lambda: os.path.exists(self.balancer.path("/run/haproxy/admin.sock")))
        self.wait_until_up(1, 2, 3)

    def gluster(self, *words, node=None):
        """Output of the command gluster on a node, "" if it fails."""
        done = subprocess.run((node or self.nodes[1]).inside("gluster", "--mode=script", *words),
                              capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else ""

    def unhealed(self):
        """How many entries still wait to be healed; None if a brick does not answer."""
        text = self.gluster("volume", "heal", "mail", "info")
        counts = [line.rpartition(" ")[2] for line in text.splitlines()
                  if line.startswith("Number of entries:")]
        return sum(map(int, counts)) if len(counts) == 3 and "-" not in counts else None

    def ask(self, *commands):
        """Answers of HAProxy's runtime API."""
        return self.balancer.run("socat", "-t", "5", "-", "UNIX-CONNECT:/run/haproxy/admin.sock",
                                 input="; ".join(commands) + "\n")

    def statistics(self):
        """Rows of HAProxy's statistics, by (proxy, server)."""
        lines = self.ask("show stat").lstrip("# ").splitlines()
        names = lines[0].split(",")
        rows = (dict(zip(names, line.split(","))) for line in lines[1:] if line)
        return {(row["pxname"], row["svname"]): row for row in rows}

    def wait_until_up(self, *numbers):
        """Waits until HAProxy uses these nodes."""
        def are_up():
            rows = self.statistics()
            return all(rows[proxy, f"node{number}"]["status"].startswith("UP")
                       for proxy in ("pop3", "pop3s-passed") for number in numbers)
        wait_for(f"nodes {numbers} up", are_up, 90)


def make_certificate(serial):
    """Key and certificate in one file."""
    path = os.path.join(WORK, "certificate")
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "30", "-set_serial", str(serial), "-subj", "/CN=mail.example.org", "-addext",
        "subjectAltName=DNS:mail.example.org", "-keyout", path, "-out", path)
    with open(path, "rb") as file:
        return file.read()
