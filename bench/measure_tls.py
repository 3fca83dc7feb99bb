"""What TLS costs: a large message, a login resumed or not, memory of the engine."""
import os
import re
import shutil
import statistics
import subprocess
import time

import meters
from lab import BENCH, PASSWORD, Failed
from report import Goal, Range, Table
from rounds import cell, measure, running
from servers import Pop3d, Server, UnderTcpserver, find

SIZE = 200 << 20
USER = "u41"


def make_tools(lab):
    for name, flags in (("tls_client", ["-lssl", "-lcrypto"]), ("tls_clock.so", ["-shared", "-fPIC"])):
        source = os.path.join(BENCH, name.split(".")[0] + ".c")
        subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-O2", "-o",
                        lab.program(name), source, *flags], check=True)
    shutil.copy(os.path.join(lab.build, "pop3d-tls"), lab.program("pop3d-tls"))
    if not os.path.exists(lab.at("rsa.key")):
        subprocess.run([find("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                        "-keyout", lab.at("rsa.key"), "-out", lab.at("rsa.crt"), "-days", "30",
                        "-subj", "/CN=localhost"], check=True, capture_output=True)
    if not os.path.exists(lab.at("tickets")):
        subprocess.run([lab.program("pop3d-tls"), "--make-ticket-keys", lab.at("tickets")],
                       check=True)


def client(lab, *arguments):
    done = subprocess.run([lab.program("tls_client"), *map(str, arguments)], capture_output=True,
                          text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise Failed(done.stderr.strip())
    return done.stdout.split()


class Pop3dTls(UnderTcpserver):
    """pop3d under pop3d-tls. The clock logs what each handshake took."""

    name = "pop3d-tls"

    def program(self):
        command = [self.lab.program("pop3d-tls"), "--cert", self.lab.at("rsa.crt"), "--key",
                   self.lab.at("rsa.key"), "--ticket-keys", self.lab.at("tickets"), "--",
                   self.lab.program("pop3d"), self.lab.program("checkpw"), self.homes, PASSWORD]
        return command, self.environment()

    def environment(self):
        return {}

    def fetch(self):
        return client(self.lab, "retr", self.port, USER, PASSWORD)


class Clocked(Pop3dTls):
    """The same with the clock."""

    name = "pop3d-tls, clocked"

    def environment(self):
        return {"LD_PRELOAD": self.lab.program("tls_clock.so")}

    def handshakes(self):
        """Microseconds of CPU of each handshake since the last call."""
        path = os.path.join(self.directory, "log")
        with open(path, encoding="latin-1") as file:
            found = [float(us) for us in re.findall(r"^handshake-us (\d+)", file.read(), re.MULTILINE)]
        os.truncate(path, 0)
        return found


class OpensslServer(Server):
    """openssl s_server -WWW sending a file."""

    name = "openssl s_server"
    fresh_process = False

    def __init__(self, lab, path):
        super().__init__(lab)
        self.path = path

    def command(self):
        shutil.copy(self.path, os.path.join(self.directory, "message"))
        return ["sh", "-c", f"cd '{self.directory}' && exec '{find('openssl', 'openssl')}' s_server "
                f"-accept 127.0.0.1:{self.port} -cert '{self.lab.at('rsa.crt')}' "
                f"-key '{self.lab.at('rsa.key')}' -WWW -quiet"], {}

    def fetch(self):
        return client(self.lab, "http", self.port, "message")


def rate(server):
    octets, seconds = server.fetch()
    if int(octets) < SIZE:
        raise Failed(f"{octets} octets came")
    return int(octets) / float(seconds) / 1e6


def table_download(lab):
    shared = lab.homes("shared")
    home = lab.home(shared, int(USER[1:]), count=1, size=SIZE, new=0, body="base64", crlf=True)
    current = os.path.join(home, "Maildir", "cur")
    path = os.path.join(current, os.listdir(current)[0])
    rounds = 7 if lab.quick else 15
    table = Table(f"{SIZE >> 20} MiB under TLS 1.3", ["server", "MB/s", "x s_server"],
                  f"Octets a second from RETR, or GET, to the last octet; {rounds} rounds in turns.")
    with running([OpensslServer(lab, path), Pop3dTls(lab, shared)]) as started:
        measure(1, started, rate)
        results = measure(rounds, started, rate)
    for name in (OpensslServer.name, Pop3dTls.name):
        table.add(name, cell(results.range(name)), cell(results.ratio(name, OpensslServer.name)))
    ratio = results.ratio(Pop3dTls.name, OpensslServer.name)
    if ratio:
        table.goals.append(Goal("200 MiB under TLS 1.3, x openssl s_server", ratio, 0.6, at_least=True))
    return table


def plain_login(lab, server, sessions):
    """CPU milliseconds of the same session in clear."""
    server.await_quiet()
    before = server.cpu_seconds()
    lab.load(server, scenario="login", sessions=sessions, users=42)
    server.await_quiet()
    return (server.cpu_seconds() - before) / sessions * 1e3


def logins(lab, server, sessions):
    """CPU milliseconds of a login, and microseconds of a handshake, by version and kind."""
    if not isinstance(server, Pop3dTls):
        return plain_login(lab, server, sessions)
    found = {}
    for version in ("1.3", "1.2"):
        for kind in ("full", "resumed"):
            server.await_quiet()
            before = server.cpu_seconds()
            resumed = int(client(lab, "login", server.port, "u42", PASSWORD, version, kind,
                                 sessions)[0])
            server.await_quiet()
            if resumed != (sessions - 1 if kind == "resumed" else 0):
                raise Failed(f"{resumed} of {sessions} were resumed")
            found[f"{version} {kind}"] = (server.cpu_seconds() - before) / sessions * 1e3
            if isinstance(server, Clocked):
                found[f"{version} {kind}"] = statistics.median(server.handshakes())
    return found


def table_logins(lab):
    shared = lab.homes("shared")
    lab.home(shared, 42, count=10, names="SW", new=0)
    rounds, sessions = (4, 40) if lab.quick else (10, 100)
    table = Table("Logins under TLS, RSA-2048", ["what", "full", "resumed", "resumed / full"],
                  "CPU of the handshake alone (SSL_accept with all that it calls, microseconds), and"
                  " of the whole session with all processes (milliseconds), which is mostly the start"
                  f" of programs; {rounds} rounds of {sessions} sessions.")
    with running([Clocked(lab, shared), Pop3dTls(lab, shared), Pop3d(lab, shared)]) as started:
        measure(1, started, lambda server: logins(lab, server, 5))
        results = measure(rounds, started, lambda server: logins(lab, server, sessions))
    for name, what in ((Clocked.name, "handshake, us"), (Pop3dTls.name, "session, ms")):
        for version in ("1.3", "1.2"):
            full, resumed = (name, f"{version} full"), (name, f"{version} resumed")
            ratio = results.ratio(resumed, full)
            table.add(f"TLS {version}, {what}", cell(results.range(full)),
                      cell(results.range(resumed)), cell(ratio))
            if ratio and name == Clocked.name:
                table.goals.append(Goal(f"TLS {version}, {what}: resumed / full", ratio, 0.5))
    plain = results.range(Pop3d.name)
    table.add("without TLS, session, ms", cell(plain), "-", "-")
    return table


def private_kilobytes(lab, server, busy):
    """Private memory of each of four engines, idle after login or during a download."""
    clients = []
    try:
        for _ in range(4):
            command = [find("openssl", "openssl"), "s_client", "-quiet", "-connect",
                       f"127.0.0.1:{server.port}"]
            one = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
            clients.append(one)
            one.stdout.readline()
            for line in (f"USER {USER}", f"PASS {PASSWORD}", "RETR 1" if busy else "STAT"):
                one.stdin.write(line.encode() + b"\r\n")
                one.stdin.flush()
                one.stdout.readline()
        time.sleep(0.3)
        engines = [pid for pid in meters.tree(server.process.pid)
                   if os.path.basename((meters.command_line(pid) or [""])[0]) == "pop3d-tls"]
        return [meters.memory(pid)["private"] for pid in engines]
    finally:
        for one in clients:
            one.kill()
            one.wait()
            one.stdin.close()
            one.stdout.close()


def table_memory(lab):
    table = Table("Private memory of an engine", ["when", "kB, most", "kB, median"],
                  "Private_Clean and Private_Dirty of each of four engines at a time.")
    shared = lab.homes("shared")
    with running([Pop3dTls(lab, shared)]) as started:
        for server in started:
            for busy, when in ((False, "after the login"), (True, "in the course of RETR")):
                found = private_kilobytes(lab, server, busy)
                table.add(when, max(found), Range(found).median)
                table.goals.append(Goal(f"private memory of an engine {when}", Range([max(found)]),
                                        1535, unit=" kB"))
                server.await_quiet()
    return table


def tables(lab):
    if not os.path.exists(os.path.join(lab.build, "pop3d-tls")):
        print("left out: tls: pop3d-tls is not built")
        return
    make_tools(lab)
    yield table_download(lab)
    yield table_logins(lab)
    yield table_memory(lab)
