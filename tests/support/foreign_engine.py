"""A UCSPI-TLS engine that is not part of pop3d, as another implementation would behave.

For each connection a thread starts pop3d with the client's socket as 0 and 1 and the three
descriptors of the interface. The thread waits for the octet on the control descriptor, and from
then on does TLS (with Python's ssl module) on the same socket. It finds whatever the program left
in the socket: it cannot know which octets came before STLS was answered.
"""
import select
import socket
import ssl
import subprocess
import threading

import harness
from tls_lab import TlsClient, pop3d


class ForeignEngine:
    """Has the same interface as tls_lab.TlsServer, for tests that run with either."""

    def __init__(self, lab, home, pki, *options):
        self.argv = pop3d(lab, home, *options)
        self.lab, self.children, self.threads = lab, [], []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pki.at("mail.example.crt"), pki.at("mail.example.key"))
        self.log_path = home.path + f".foreign-{id(self):x}"
        self.log_file = open(self.log_path, "wb")
        self.closing = []
        lab.servers.append(self)

    def raw(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname(), harness.TIMEOUT)
            far = listener.accept()[0]
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        control, far_control = socket.socketpair()
        inside, far_inside = socket.socketpair()
        number = str(far_inside.fileno())
        self.children.append(subprocess.Popen(
            self.argv, stdin=far, stdout=far, stderr=self.log_file, cwd="/",
            env=dict(self.lab.environment(), SSLCTLFD=str(far_control.fileno()), SSLREADFD=number,
                     SSLWRITEFD=number),
            pass_fds=[far_control.fileno(), far_inside.fileno()], start_new_session=True))
        far_control.close()
        far_inside.close()
        self.closing += [far, control, inside]
        thread = threading.Thread(target=self.serve, args=(far, control, inside), daemon=True)
        thread.start()
        self.threads.append(thread)
        return client

    def serve(self, clear, control, inside):
        ends = [control, inside, clear]
        try:
            if control.recv(1) != b"y":
                return
            clear.settimeout(harness.TIMEOUT)
            protected = self.context.wrap_socket(clear, server_side=True)
            ends.append(protected)
            self.closing.append(protected)
            self.relay(protected, inside)
        except OSError:  # A failed handshake ends the program's input.
            pass
        finally:
            for end in ends:
                end.close()

    @staticmethod
    def relay(protected, inside):
        protected.settimeout(None)
        while True:
            ready = [inside] if protected.pending() else select.select([protected, inside], [], [])[0]
            if protected in ready or protected.pending():
                octets = protected.recv(65536)
                if not octets:
                    inside.shutdown(socket.SHUT_WR)
                    return
                inside.sendall(octets)
            if inside in ready and select.select([inside], [], [], 0)[0]:
                octets = inside.recv(65536)
                if not octets:
                    protected.unwrap()
                    return
                protected.sendall(octets)

    def connect(self, context, name="mail.example", raw=None):
        return TlsClient(context.wrap_socket(raw or self.raw(), server_hostname=name))

    def log(self):
        with open(self.log_path, encoding="latin-1") as file:
            return file.read()

    def report(self):
        return f"command line: {' '.join(self.argv)}\nlog:\n{self.log()[-3000:]}"

    def stop(self):
        for end in self.closing:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join(5)
        for child in self.children:
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.log_file.close()
