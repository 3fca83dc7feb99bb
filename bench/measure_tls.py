"""What TLS costs: logins beside other servers, a large message, memory of the engine."""
import os
import re
import shutil
import statistics
import subprocess
import time

import meters
import plot
from lab import BENCH, PASSWORD, TREE, Failed
from report import Goal, Range, Table
from rounds import cell, measure, running
from servers import (SBIN, Dovecot, DovecotHp, Missing, Pop3d, Server, UnderTcpserver, find,
                     free_port)

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
    if not os.path.exists(lab.at("ecdsa.pem")):
        subprocess.run([find("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", lab.at("ecdsa.key"), "-out",
                        lab.at("ecdsa.crt"), "-days", "30", "-subj", "/CN=localhost"],
                       check=True, capture_output=True)
        with open(lab.at("ecdsa.pem"), "w", encoding="ascii") as file:
            for part in ("ecdsa.crt", "ecdsa.key"):
                with open(lab.at(part), encoding="ascii") as source:
                    file.write(source.read())
        os.chmod(file.name, 0o600)
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


class Ecdsa(Pop3dTls):
    """The same with the certificate that the neighbours have as well."""

    name = "pop3d-tls, ECDSA"
    engine = "pop3d-tls"

    def program(self):
        return [self.lab.program(self.engine), "--cert", self.lab.at("ecdsa.pem"), "--ticket-keys",
                self.lab.at("tickets"), "--", self.lab.program("pop3d"), self.lab.program("checkpw"),
                self.homes, PASSWORD], {}


class EcdsaStatic(Ecdsa):
    """With the library inside the program."""

    name = "pop3d-tls, ECDSA, TLS_LINK=static"
    engine = "static/pop3d-tls"

    def program(self):
        place = self.lab.at("static")
        made = subprocess.run(["make", "-s", "-C", TREE, f"O={place}", "TLS_LINK=static",
                               f"{place}/pop3d-tls"], capture_output=True, check=False)
        if made.returncode != 0:
            raise Missing("there is no archive of OpenSSL")
        os.makedirs(self.lab.program("static"), exist_ok=True)
        shutil.copy(os.path.join(place, "pop3d-tls"), self.lab.program(self.engine))
        return super().program()


class HaproxyPop3d(Server):
    """HAProxy does TLS, and pop3d is a server under tcpserver after it."""

    name = "HAProxy + pop3d"
    fresh_process = False
    script = 'trap \'kill $a $b; exit 0\' TERM; "$@" & a=$!; haproxy -db -q -f "$C" & b=$!; wait'

    def command(self):
        inner = Pop3d(self.lab, self.homes)
        inner.port = free_port()
        os.makedirs(inner.directory, exist_ok=True)
        path = os.path.join(self.directory, "haproxy.cfg")
        with open(path, "w", encoding="ascii") as file:
            file.write(f"""
global
  maxconn 2000
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode tcp
  timeout connect 10s
  timeout client 600s
  timeout server 600s
listen pop3s
  bind 127.0.0.1:{self.port} ssl crt {self.lab.at("ecdsa.pem")}
  server pop3d 127.0.0.1:{inner.port}
""")
        find("haproxy", "haproxy")
        words, environment = inner.command()
        return ["sh", "-c", self.script, "sh", *words], {
            "C": path, "PATH": os.pathsep.join([os.environ["PATH"], *SBIN]), **environment}


class TlsOnly:  # pylint: disable=too-few-public-methods
    """Changes Dovecot's configuration to one of TLS, with the certificate of the others."""

    def configuration(self, users):
        text = super().configuration(users)
        listener = f"address = 127.0.0.1\n    port = {self.port}\n"
        return (text.replace("ssl = no\n", f"ssl = required\nssl_cert = <{self.lab.at('ecdsa.crt')}\n"
                             f"ssl_key = <{self.lab.at('ecdsa.key')}\n")
                .replace(listener, "port = 0\n")
                .replace("inet_listener pop3s {\n    port = 0\n",
                         f"inet_listener pop3s {{\n    ssl = yes\n    {listener}"))


class DovecotTls(TlsOnly, Dovecot):
    """Dovecot as it comes."""

    name = "dovecot, TLS"


class DovecotHpTls(TlsOnly, DovecotHp):
    """Dovecot in its high-performance mode."""

    name = "dovecot-hp, TLS"


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
                                 sessions, 1)[0])
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


def tls_logins(lab, server, kind, sessions, at_once):
    """Seconds, and milliseconds of CPU of the server, for so many sessions."""
    server.await_quiet()
    before = server.cpu_seconds()
    resumed, seconds = client(lab, "login", server.port, USER, PASSWORD, "1.3", kind, sessions,
                              at_once)
    server.await_quiet()
    expected = sessions - at_once if kind == "resumed" else 0
    if int(resumed) != expected and not isinstance(server, TlsOnly):
        raise Failed(f"{resumed} of {sessions} were resumed")
    return float(seconds), (server.cpu_seconds() - before) / sessions * 1e3


def idle_memory(lab, server, sessions):
    """kB PSS and private of each of so many sessions that have logged in, all processes."""
    server.await_quiet()
    idle = meters.tree_memory(server.process.pid)
    command = [lab.program("tls_client"), "idle", server.port, USER, PASSWORD, "1.3", sessions]
    with subprocess.Popen([*map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as held:
        said = held.stdout.readline()
        time.sleep(0.5)
        busy = meters.tree_memory(server.process.pid)
        held.stdin.close()
    if said != "idle\n":
        raise Failed("the sessions did not stay")
    return {what: (busy[what] - idle[what]) / sessions for what in ("pss", "private")}


def neighbours(lab, server, sessions):
    """All figures of one server of one round."""
    if isinstance(server, Pop3d):
        return {kind: plain_login(lab, server, sessions) for kind in ("full", "resumed")}
    found = {kind: tls_logins(lab, server, kind, sessions, 1)[1] for kind in ("full", "resumed")}
    for kind in ("full", "resumed"):
        seconds, _ = tls_logins(lab, server, kind, sessions, 20)
        found[f"rate {kind}"] = sessions / seconds
    found.update(idle_memory(lab, server, 20))
    return found


NEIGHBOUR_COLUMNS = {
    "full": "full, ms", "resumed": "resumed, ms", "rate full": "full a second",
    "rate resumed": "resumed a second", "pss": "idle, kB PSS", "private": "idle, kB private"}


def add_neighbour(table, results, name):
    """A row: each figure, and after x its ratio to that of HAProxy with pop3d in the same round."""
    cells = []
    for kind in NEIGHBOUR_COLUMNS:
        found = None if name in results.problems else results.range((name, kind))
        ratio = found and results.ratio((name, kind), (HaproxyPop3d.name, kind))
        cells += [cell(found), cell(ratio or None)]
    table.add(name, *cells)


def neighbour_plots(results, names):
    """The figures of all servers that make them: one plot for each kind."""
    plots = {}
    for kind, slug, title, unit in (
            ("full", "tls-full", "CPU of a session under TLS, full handshake", "ms"),
            ("resumed", "tls-resumed", "CPU of a session under TLS, resumed", "ms"),
            ("rate full", "tls-rate", "Full handshakes a second, 20 at a time", ""),
            ("private", "tls-memory", "Private memory of an idle session under TLS", "kB")):
        found = {name: results.range((name, kind)) for name in names
                 if name not in results.problems and (name, kind) in results.values}
        if found:
            plots[slug] = plot.bars(title, unit, {name: own.median for name, own in found.items()})
    return plots


def table_neighbours(lab):
    shared = lab.homes("tls")
    for user in (int(USER[1:]), 42):
        lab.home(shared, user, count=10, names="SW", new=0)
    rounds, sessions = (4, 100) if lab.quick else (12, 200)
    head = ["server"]
    for title in NEIGHBOUR_COLUMNS.values():
        head += [title, "x HAProxy + pop3d"]
    table = Table("Logins under TLS 1.3, ECDSA P-256, beside other servers", head,
                  "USER, PASS, STAT, QUIT on ten messages. CPU of all processes of the server for a"
                  " session, one at a time; sessions a second, 20 at a time; memory of each of 20"
                  f" idle sessions, all processes; {rounds} rounds of {sessions} sessions in turns."
                  " pop3d alone is without TLS, and stands in the columns of both handshakes. Dovecot's"
                  " login processes do not share the keys of tickets, so that with several of them a"
                  " client is not always resumed, and with one for each session never.")
    dovecots = [kind(lab) for kind in (DovecotTls, DovecotHpTls)]
    for server in dovecots:
        lab.home(server.homes, int(USER[1:]), count=10, names="SW", new=0)
    wanted = [Ecdsa(lab, shared), EcdsaStatic(lab, shared), HaproxyPop3d(lab, shared), *dovecots,
              Pop3d(lab, shared)]
    with running(wanted) as started:
        measure(1, started, lambda server: neighbours(lab, server, 20))
        results = measure(rounds, started, lambda server: neighbours(lab, server, sessions))
    for server in started:
        add_neighbour(table, results, server.name)
    table.tell_problems(results)
    table.plots.update(neighbour_plots(results, [server.name for server in started]))
    for name, bound in ((Ecdsa.name, 1.5), (EcdsaStatic.name, 1.2)):
        for kind in ("full", "resumed"):
            ratio = results.ratio((name, kind), (HaproxyPop3d.name, kind))
            if ratio:
                table.goals.append(Goal(f"{name}, CPU of a {kind} session, x HAProxy + pop3d", ratio,
                                        bound))
        private = results.range((name, "private"))
        if private:
            table.goals.append(Goal(f"{name}, private memory of an idle session", private, 900,
                                    unit=" kB"))
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
    yield table_neighbours(lab)
    yield table_download(lab)
    yield table_logins(lab)
    yield table_memory(lab)
