"""Shared by the tests of pop3d-tls: certificates, a small superserver, a client."""
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

import harness
from harness import HOST, retry_until
from launch import checker_options, find_program, tree_of

SUPPORT = os.path.dirname(os.path.abspath(__file__))

# A program that speaks UCSPI-TLS according to its documents. STLS or STLS-Y (with the variables)
# begins TLS, OCTET X writes another octet to the control descriptor, SHUT closes it. Other lines
# are echoed.
UCSPI_DOUBLE = f"""#!{sys.executable} -IS
import os
control, reads, writes = (int(os.environ[name]) for name in ("SSLCTLFD", "SSLREADFD", "SSLWRITEFD"))
def put(text):
    try:
        os.write(1, text.encode() + b"\\r\\n")
    except BrokenPipeError:
        raise SystemExit(5)
def line():
    text = b""
    while not text.endswith(b"\\n"):
        try:
            octet = os.read(0, 1)
        except ConnectionResetError:
            octet = b""
        if not octet:
            raise SystemExit(5)
        text += octet
    return text.decode().strip()
put("clear " + os.environ.get("SSL_PROTOCOL", "-") + " " + os.environ["TCPREMOTEIP"])
while True:
    command = line()
    if command == "SHUT":
        os.close(control)
        put("shut")
    elif command.startswith("OCTET"):
        os.write(control, command[6:].encode())
    elif command.startswith("STLS"):
        put("begin")
        os.write(control, b"Y" if command == "STLS-Y" else b"y")
        variables = b""
        while command == "STLS-Y" and not variables.endswith(b"\\0\\0"):
            piece = os.read(control, 4096)
            if not piece:
                raise SystemExit(6)
            variables += piece
        os.dup2(reads, 0)
        os.dup2(writes, 1)
        for fd in (control, reads, writes):
            os.close(fd)
        put(("tls " + variables.decode().replace("\\0", " ")).strip())
    elif command == "QUIT":
        put("bye")
        raise SystemExit(0)
    else:
        put("echo " + command)
"""


def openssl(*arguments, text=None, check=True):
    done = subprocess.run([find_program("openssl", "openssl"), *arguments], input=text,
                          capture_output=True, timeout=60, check=False)
    assert not check or done.returncode == 0, f"openssl {arguments}: {done.stderr.decode()}"
    return done


CA_CONFIGURATION = """[ca]
default_ca = this
[this]
database = {0}/index.txt
serial = {0}/serial
new_certs_dir = {0}
default_md = sha256
policy = any
[any]
commonName = supplied
"""


def certificate_of_days(directory, first, last):
    """A file with a key and its own certificate, valid between these days from now."""
    for name, text in (("index.txt", ""), ("serial", "01\n"),
                       ("ca.cnf", CA_CONFIGURATION.format(directory))):
        (directory / name).write_text(text, encoding="ascii")
    key, request, cert = (str(directory / name) for name in ("key", "request", "cert"))
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            key, "-out", request, "-subj", "/CN=mail.example")
    dates = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + 86400 * days))
             for days in (first, last)]
    openssl("ca", "-config", str(directory / "ca.cnf"), "-selfsign", "-keyfile", key, "-in", request,
            "-out", cert, "-batch", "-notext", "-startdate", dates[0], "-enddate", dates[1])
    both = directory / "both.pem"
    both.write_text(open(key, encoding="ascii").read() + open(cert, encoding="ascii").read(),
                    encoding="ascii")
    both.chmod(0o600)
    return str(both)


class Pki:
    """Certificates below one directory: NAME.crt and NAME.key."""

    def __init__(self, directory):
        self.directory = directory
        os.mkdir(directory)
        self.authority("ca")
        self.leaf("mail.example")

    def at(self, name):
        return os.path.join(self.directory, name)

    def make(self, name, *options, key="ec", names=()):
        kind = {"ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
                "rsa": ["-newkey", "rsa:2048"]}[key]
        extensions = [part for n in names for part in ("-addext", f"subjectAltName=DNS:{n}")]
        openssl("req", "-x509", *kind, "-nodes", "-keyout", self.at(name + ".key"), "-out",
                self.at(name + ".crt"), "-days", "30", "-subj", f"/CN={name}", *extensions,
                *options)
        return self

    def authority(self, name):
        return self.make(name, "-addext", "basicConstraints=critical,CA:TRUE",
                         "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def leaf(self, name, host=None, ca="ca", key="ec"):
        return self.make(name, "-CA", self.at(ca + ".crt"), "-CAkey", self.at(ca + ".key"),
                         "-addext", "basicConstraints=CA:FALSE", key=key, names=[host or name])

    def have(self, name, **how):
        """The options for a certificate, which is made when it is first wanted."""
        if not os.path.exists(self.at(name + ".crt")):
            self.leaf(name, **how)
        return ["--cert", self.at(name + ".crt"), "--key", self.at(name + ".key")]

    def pem(self, name):
        """Key and certificate in one text."""
        self.have(name)
        return "".join(open(self.at(name + end), encoding="ascii").read()
                       for end in (".key", ".crt"))

    def der(self, name):
        with open(self.at(name + ".crt"), encoding="ascii") as file:
            return ssl.PEM_cert_to_DER_cert(file.read())

    def anywhere(self):
        """A client that accepts any name."""
        context = self.context()
        context.check_hostname = False
        return context

    def context(self, **attributes):
        """A client that checks the server's certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.at("ca.crt"))
        for name, value in attributes.items():
            setattr(context, name, value)
        return context


class TlsClient:
    """A client of a server under TLS."""

    def __init__(self, wrapped):
        self.socket = wrapped
        self.got = b""

    def send(self, octets):
        self.socket.sendall(octets)

    def line(self):
        """The next line without CRLF; None at the end."""
        while b"\n" not in self.got:
            piece = self.socket.recv(65536)
            if not piece:
                assert not self.got, self.got
                return None
            self.got += piece
        text, self.got = self.got.split(b"\n", 1)
        return text.decode("latin-1").rstrip("\r")

    def ask(self, command):
        self.send(command.encode() + b"\r\n")
        return self.line()

    def rest(self):
        text, self.got = self.got, b""
        while piece := self.socket.recv(65536):
            text += piece
        return text

    def login(self, home):
        assert self.line().startswith("+OK")
        assert self.ask(f"USER {home.login}").startswith("+OK")
        reply = self.ask(f"PASS {home.password}")
        assert reply.startswith("+OK"), reply

    def certificate(self):
        return self.socket.getpeercert(binary_form=True)

    def cut(self):
        """Ends the connection without close_notify."""
        raw = socket.socket(fileno=self.socket.detach())
        raw.close()

    def close(self):
        self.socket.close()


class TlsServer:
    """A superserver with one accept loop, which starts pop3d-tls for each connection."""

    def __init__(self, lab, options, program, stderr="log", environment=(), umask=-1):
        self.argv = [tls_program(lab), *options, "--", *program]
        self.lab, self.stderr, self.umask = lab, stderr, umask
        self.environment = {**lab.environment(), **dict(environment)}
        self.log_path = os.path.join(lab.directory, f"tls-{id(self):x}.log")
        self.log_file = open(self.log_path, "wb")
        self.accepted, self.children = 0, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        lab.servers.append(self)

    address = "127.0.0.1"

    def serve(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            self.accepted += 1
            with connection:
                self.children.append(subprocess.Popen(
                    self.argv, stdin=connection, stdout=connection, env=self.environment, cwd="/",
                    stderr=connection if self.stderr == "client" else self.log_file,
                    start_new_session=True, umask=self.umask))

    def raw(self):
        """A connection in clear."""
        client = socket.create_connection(("127.0.0.1", self.port), harness.TIMEOUT)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def connect(self, context, name="mail.example", raw=None, **how):
        return TlsClient(context.wrap_socket(raw or self.raw(), server_hostname=name, **how))

    def child(self, number=-1):
        # The program may have answered before it was entered here.
        started = retry_until(lambda: self.children and len(self.children) == self.accepted)
        assert started, "nothing was started"
        return self.children[number]

    def ended(self, number=-1, timeout=harness.TIMEOUT):
        """The exit status of the program of a connection, after all its processes have ended."""
        child = self.child(number)
        status = child.wait(timeout)
        assert retry_until(lambda: not harness.processes_of(child.pid), 5), self.report()
        return status

    def log(self):
        with open(self.log_path, encoding="latin-1") as file:
            return file.read()

    def logged(self, pattern):
        """Waits for a line in the log."""
        found = retry_until(lambda: re.search(pattern, self.log()))
        assert found, f"nothing like {pattern} in the log\n{self.report()}"
        return found

    def report(self):
        return f"command line: {' '.join(self.argv)}\nlog:\n{self.log()[-3000:]}"

    def stop(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.thread.join(5)
        for child in self.children:
            for pid in {child.pid, *tree_of(child.pid), *harness.processes_of(child.pid)}:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            child.wait()
        self.log_file.close()


def tls_program(lab):
    """pop3d-tls together with the other programs under test."""
    path = os.path.join(lab.directory, "bin", "pop3d-tls")
    if not os.path.exists(path):
        pytest.skip("pop3d-tls was not built (libssl-dev)")
    return path


def storm_program(lab):
    """The client of tls-storm.c."""
    path = os.path.join(lab.directory, "bin", "tls-storm")
    if not os.path.exists(path):
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-D_GNU_SOURCE", "-o", path,
                        os.path.join(SUPPORT, "tls-storm.c"), "-lssl", "-lcrypto"], check=True)
    return path


def pop3d(lab, home, *options):
    """The command line of pop3d with the checker of the table."""
    return [lab.pop3d, *checker_options(lab), *options, "--", lab.checker, home.table]


def client_hello(context, name="mail.example"):
    """The first lines of such a client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


GREETING = f"+OK {HOST} POP3 server ready"


def as_openssl_3_0(text):
    """What s_client shows of a name, as OpenSSL 3.0 writes it: later versions write no blanks."""
    return re.sub(r"\b(CN|O) ?= ?", r"\1 = ", text)


def s_client(server, *options, text=b"QUIT\r\n", delay=0.0):
    """What openssl s_client writes to its output."""
    command = [find_program("openssl", "openssl"), "s_client", "-connect",
               f"127.0.0.1:{server.port}", "-servername", "mail.example", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as client:
        time.sleep(delay)
        try:
            got = client.communicate(text, timeout=harness.TIMEOUT)[0]
        except subprocess.TimeoutExpired:
            client.kill()
            raise
    return as_openssl_3_0(got.decode("latin-1"))


def all_of(client):
    """What a client receives until the connection ends."""
    got = b""
    try:
        while piece := client.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return got


def clear_until(raw, end):
    """What arrives in clear, up to the given end."""
    got = b""
    while not got.endswith(end):
        piece = raw.recv(65536)
        assert piece, got
        got += piece
    return got


def run_tls(lab, *arguments):
    """Runs pop3d-tls without a client."""
    return subprocess.run([tls_program(lab), *arguments], capture_output=True, text=True,
                          check=False, timeout=20)


# -- fixtures


@pytest.fixture(scope="session")
def pki(programs):
    """One for all modules, because making keys takes time."""
    tls_program(programs)
    if not hasattr(programs, "pki"):
        programs.pki = Pki(os.path.join(programs.directory, "pki"))
    return programs.pki


@pytest.fixture
def own(pki):
    """The options for the usual certificate."""
    return pki.have("mail.example")


@pytest.fixture
def keys(lab, home):
    """A file of ticket keys."""
    path = home.path + ".tickets"
    subprocess.run([tls_program(lab), "--make-ticket-keys", path], check=True)
    yield path
    if os.path.exists(path):
        os.unlink(path)


@pytest.fixture
def cert_dir(home, pki):
    path = home.path + ".certs"
    os.mkdir(path)
    for name, source in (("other.example", "other.example"), ("_.wild.example", "wild"),
                         ("default", "mail.example")):
        pki.have(source, **({"host": "*.wild.example"} if source == "wild" else {}))
        with open(os.open(os.path.join(path, name + ".pem"), os.O_WRONLY | os.O_CREAT, 0o600),
                  "w", encoding="ascii") as file:
            file.write(pki.pem(source))
    return path
