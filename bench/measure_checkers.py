"""What checking a password costs: checkers and hashes, and the engines of TLS in front.

bench/simulate.py and "bench/run arrivals" read the figures of this measurement.
"""
import ctypes
import os
import resource
import statistics
import subprocess
import time

import measure_tls
import meters
from lab import OWNER, PASSWORD
from report import Goal, Table
from rounds import cell, measure, running
from servers import Missing, Pop3d, find

USER = "u41"
CHEAPEST = "pop3d"  # The name of the server with the cheapest checker.
HASHES = {  # Settings for crypt(3): prefix and cost, 0 for the cost of the library.
    "sha256crypt, 1,000 rounds": ("$5$", 1000),
    "sha512crypt, 5,000 rounds": ("$6$", 5000),
    "bcrypt, cost 5": ("$2b$", 5),
    "bcrypt, cost 10": ("$2b$", 10),
    "yescrypt": ("$y$", 0),
}
QUANTILES = 40


def crypt_hash(prefix, cost):
    """A hash of the password of all users."""
    library = ctypes.CDLL("libcrypt.so.1")
    for function in (library.crypt_gensalt, library.crypt):
        function.restype = ctypes.c_char_p
    setting = library.crypt_gensalt(prefix.encode(), ctypes.c_ulong(cost), None, 0)
    hashed = setting and library.crypt(PASSWORD.encode(), setting)
    if not hashed or hashed[:1] == b"*":
        raise Missing(f"crypt(3) has no {prefix}")
    return hashed.decode()


def dovecot_hash(scheme):
    done = subprocess.run([find("doveadm", "dovecot-core"), "pw", "-s", scheme, "-p", PASSWORD],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"Dovecot has no {scheme}")
    return done.stdout.strip()


class Checked(Pop3d):
    """pop3d with pop3d-checkpw, in a mount namespace with its own /run and /etc/pam.d."""

    script = ('mount --make-rprivate / && mount -t tmpfs none /run && '
              'mount --bind "$D/pam.d" /etc/pam.d || exit 1; exec "$@"')

    def checker(self):
        """The options of pop3d-checkpw."""
        raise NotImplementedError

    def program(self):
        return [self.lab.program("pop3d"), "--", self.lab.program("pop3d-checkpw"), *self.checker()], {}

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def service_seconds(self):
        """CPU that a service for all logins has used."""
        return 0.0

    def command(self):
        self.write("pam.d/pop3", "auth required pam_permit.so\naccount required pam_permit.so\n")
        words, environment = super().command()
        return ["unshare", "--mount", "sh", "-c", self.script, "sh", *words], {
            "D": self.directory, **environment}


class File(Checked):
    """With its own password file."""

    def __init__(self, lab, homes, title):
        self.name = f"pop3d-checkpw, {title}"
        self.hash = crypt_hash(*HASHES[title])
        super().__init__(lab, homes)

    def checker(self):
        lines = "".join(f"{home}:{self.hash}:{OWNER[0]}:{OWNER[1]}:{self.homes}/{home}\n"
                        for home in sorted(os.listdir(self.homes)))
        return ["-f", self.write("passwd", lines, 0o600)]


class Pam(Checked):
    """With PAM, and a module that lets everybody in: what PAM costs without any hash."""

    name = "pop3d-checkpw --pam, pam_permit"

    def checker(self):
        return ["--pam", "--as", f"{OWNER[0]}:{OWNER[1]}", "--home", f"{self.homes}/%u"]


class DovecotAuth(Checked):
    """With --dovecot, and Dovecot's authentication service beside it."""

    script = ('mount --make-rprivate / && mount -t tmpfs none /run && '
              'mount --bind "$D/pam.d" /etc/pam.d || exit 1\n'
              'trap \'kill $a $b; exit 0\' TERM; dovecot -F -c "$D/dovecot.conf" & a=$!\n'
              'while [ ! -S "$D/run/auth-userdb" ]; do sleep 0.1; done; "$@" & b=$!; wait')

    def __init__(self, lab, homes, title, scheme, cache):
        self.name = f"--dovecot, {title}"
        self.scheme, self.cache = scheme, cache
        self.hash = dovecot_hash(scheme) if scheme else ""
        super().__init__(lab, homes)

    def await_quiet(self):
        """Dovecot's processes stay; those of pop3d end."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            names = [os.path.basename((meters.command_line(pid) or [""])[0])
                     for pid in meters.tree(self.process.pid)]
            if not any(name.startswith("pop3d") for name in names):
                return
            time.sleep(0.005)

    def service_seconds(self):
        """That of the process that answers all logins, one after another."""
        used = 0
        for pid in meters.tree(self.process.pid):
            words = " ".join(meters.command_line(pid)).split()
            if words[:1] == ["dovecot/auth"] and "-w" not in words:
                with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
                    used += int(file.read().split()[0])
        return used / 1e9

    def checker(self):
        run = os.path.join(self.directory, "run")
        return ["--dovecot", "--auth-socket", f"{run}/auth-client",
                "--userdb-socket", f"{run}/auth-userdb"]

    def command(self):
        find("dovecot", "dovecot-core")
        users = self.write("users", "".join(
            f"{home}:{self.hash}:{OWNER[0]}:{OWNER[1]}::{self.homes}/{home}::\n"
            for home in sorted(os.listdir(self.homes))))
        passdb = f"driver = passwd-file\n args = {users}" if self.scheme else (
            "driver = pam\n args = cache_key=%u pop3")
        self.write("dovecot.conf", f"""
base_dir = {self.directory}/run
state_dir = {self.directory}/state
log_path = {self.directory}/log
protocols =
ssl = no
auth_mechanisms = plain
auth_failure_delay = 0
default_vsz_limit = 0
{"auth_cache_size = 10M" if self.cache else ""}
service auth {{
  unix_listener auth-client {{
    mode = 0600
    user = root
  }}
  unix_listener auth-userdb {{
    mode = 0600
    user = root
  }}
}}
service auth-worker {{
  user = root
}}
passdb {{
 {passdb}
}}
userdb {{
  driver = passwd-file
  args = {users}
}}
""")
        return super().command()


DOVECOTS = [  # title, scheme (None: a passdb of PAM, which keeps its hashes for itself), cache
    ("SHA512-CRYPT", "SHA512-CRYPT", False),
    ("SHA512-CRYPT, cache", "SHA512-CRYPT", True),
    ("ARGON2ID, cache", "ARGON2ID", True),
    ("a passdb without hashes, cache", None, True),
]


class Cheapest(Pop3d):
    """The cheapest checker, as in all other measurements."""

    name = CHEAPEST

    @staticmethod
    def service_seconds():
        return 0.0


def wanted_servers(lab, homes):
    """All variants that can be had here, and why the others cannot."""
    made = [lambda: Cheapest(lab, homes), lambda: Pam(lab, homes)]
    made += [lambda title=title: File(lab, homes, title) for title in HASHES]
    made += [lambda row=row: DovecotAuth(lab, homes, *row) for row in DOVECOTS]
    servers = []
    for make in made:
        try:
            servers.append(make())
        except Missing as reason:
            print(f"left out: {reason}")
    return servers


def sessions_of(lab, server, sessions, at_once=1):
    """Milliseconds of a session: CPU of the server, CPU of the client, time of a session."""
    server.await_quiet()
    ours, used = resource.getrusage(resource.RUSAGE_CHILDREN), server.cpu_seconds()
    service = server.service_seconds()
    figures = lab.load(server, scenario="login", sessions=sessions, at_once=at_once, users=USER[1:])
    server.await_quiet()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    client = after.ru_utime + after.ru_stime - ours.ru_utime - ours.ru_stime
    return {"cpu": (server.cpu_seconds() - used) / sessions * 1e3,
            "service": (server.service_seconds() - service) / sessions * 1e3,
            "client": client / sessions * 1e3, "alone": figures["session_us"]["p50"] / 1e3}


def quantiles(values):
    """Of values divided by their mean; from the least to the most."""
    ordered, mean = sorted(values), statistics.fmean(values)
    return [round(ordered[round(i * (len(ordered) - 1) / QUANTILES)] / mean, 4)
            for i in range(QUANTILES + 1)]


def spread_and_memory(lab, server, sessions):
    """How the CPU of single sessions differs, and kB of the largest process; without tcpserver."""
    program, _ = server.program()
    at = program.index(lab.program("pop3d-checkpw")) + 1 if isinstance(server, File) else None
    if at:
        program = program[:at] + ["--max-checks", "0"] + program[at:]
    figures = lab.load(scenario="login", sessions=sessions, values=True, user="u%",
                       users=USER[1:], start=" ".join(program))
    return quantiles(figures["cpu_values_us"]), figures["most_kb"]


def table_checkers(lab):
    homes = lab.homes("checkers")
    lab.home(homes, int(USER[1:]), count=10, names="SW", new=0)
    rounds, sessions = (4, 40) if lab.quick else (10, 100)
    table = Table("Checkers and hashes: CPU of a login session",
                  ["checker and hash", "ms", "x the cheapest checker", "of it Dovecot's auth, ms",
                   "ms alone", "largest process, kB"],
                  "USER, PASS, STAT, QUIT on ten messages, without TLS; CPU of all processes with"
                  " tcpserver and Dovecot's service; the time of a session on its own;"
                  f" {rounds} rounds of {sessions} sessions in turns. The cheapest checker compares"
                  " with one word. The passdb without hashes is Dovecot's of PAM with pam_permit, and"
                  " stands for PAM and LDAP binds, whose passwords the cache keeps as SHA1.")
    spread = None
    with running(wanted_servers(lab, homes)) as started:
        measure(1, started, lambda server: sessions_of(lab, server, 5))
        results = measure(rounds, started, lambda server: sessions_of(lab, server, sessions))
        for server in started:
            memory = "-"
            if isinstance(server, (Cheapest, File)):
                spread, memory = spread_and_memory(lab, server, 4 * sessions)
            cpu = results.range((server.name, "cpu")) if server.name not in results.problems else None
            if cpu is None:
                continue
            ratio = results.ratio((server.name, "cpu"), (CHEAPEST, "cpu"))
            alone = results.range((server.name, "alone"))
            service = results.range((server.name, "service"))
            table.add(server.name, cell(cpu), cell(ratio), cell(service), cell(alone), memory)
            table.figures[server.name] = {
                "cpu_ms": cpu.median, "alone_ms": alone.least, "spread": spread,
                "service_ms": service.median,
                "client_ms": results.range((server.name, "client")).median,
                "check_ms": max(0, cpu.median - results.range((CHEAPEST, "cpu")).median)
                if isinstance(server, File) else 0, "most_kb": memory}
    table.tell_problems(results)
    yescrypt = results.ratio(("pop3d-checkpw, yescrypt", "cpu"), (CHEAPEST, "cpu"))
    if yescrypt:
        table.goals.append(Goal("a login with yescrypt, x the cheapest checker", yescrypt, 5,
                                at_least=True))
    return table


def table_engines(lab):
    """The same logins under TLS, as far as simulate.py needs them."""
    measure_tls.make_tools(lab)
    shared = lab.homes("checkers")
    rounds, sessions = (4, 40) if lab.quick else (10, 100)
    servers = [measure_tls.Ecdsa(lab, shared), measure_tls.EcdsaStatic(lab, shared),
               measure_tls.HaproxyPop3d(lab, shared), Cheapest(lab, shared)]
    table = Table("TLS in front: CPU of a login session", ["server", "full, ms", "x in clear",
                                                           "resumed, ms", "x in clear"],
                  "The same session with the cheapest checker, TLS 1.3, ECDSA P-256, one at a time;"
                  f" {rounds} rounds of {sessions} sessions in turns.")

    def once(server):
        if isinstance(server, Cheapest):
            found = sessions_of(lab, server, sessions)["cpu"]
            return {"full": found, "resumed": found}
        return {kind: measure_tls.tls_logins(lab, server, kind, sessions, 1)[1]
                for kind in ("full", "resumed")}
    with running(servers) as started:
        measure(1, started, once)
        results = measure(rounds, started, once)
    for server in started:
        if server.name in results.problems:
            continue
        row = [server.name]
        for kind in ("full", "resumed"):
            found = results.range((server.name, kind))
            row += [cell(found), cell(results.ratio((server.name, kind), (CHEAPEST, kind)))]
            extra = found.median - results.range((CHEAPEST, kind)).median
            table.figures[f"{server.name}, {kind}"] = {"extra_ms": max(0, extra)}
        table.add(*row)
    table.tell_problems(results)
    return table


def tables(lab):
    yield table_checkers(lab)
    if os.path.exists(os.path.join(lab.build, "pop3d-tls")):
        yield table_engines(lab)
