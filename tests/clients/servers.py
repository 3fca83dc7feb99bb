"""The servers of the client matrix: tcpserver with pop3d, for each way in, and a relay in front."""
import re
import socket
import threading

from launch import Tcpserver
from tls_lab import tls_program


class PopServer(Tcpserver):
    """tcpserver on the loopback, with pop3d or, before it, pop3d-tls; delays are the default ones."""

    def __init__(self, lab, home, mode, certificate=(), options=()):
        inner = [lab.pop3d, "--hostname", "mail.example", *options, "--", lab.checker, home.table]
        if mode != "clear":
            begin = ["--starttls"] if mode == "stls" else []
            inner = [tls_program(lab), *certificate, *begin, "--", *inner]
        super().__init__(lab, home, inner)

    def command(self):
        command = super().command()
        return command[:command.index(self.lab.pop3d)] + self.arguments

    def failures(self):
        """Log lines about refused logins."""
        return re.findall(r"login-failed .*", self.log())

    def tries(self):
        """How often the checker was asked about a password that was wrong."""
        return sum(int(n) for n in re.findall(r"(?m) logout? .*tries=(\d+)", self.log()))


class StallingRelay:
    """Between client and server; swallows the n-th RETR or TOP, so that the server's time runs out.

    The server's last words and its end are passed on: what a client sees that was away for too long.
    """

    def __init__(self, server, stall_at):
        self.server, self.stall_at = server, stall_at
        self.stalled = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            far = self.server.connect()
            # the connection may well be silent for longer than a test waits for an answer
            far.settimeout(None)
            for work in (self.commands, self.answers):
                thread = threading.Thread(target=work, args=(client, far), daemon=True)
                thread.start()
                self.threads.append(thread)

    def commands(self, client, far):
        count, stalled = 0, False
        try:
            with client.makefile("rb") as lines:
                for line in lines:
                    count += line[:4].upper() in (b"RETR", b"TOP ")
                    if count >= self.stall_at and not self.stalled:
                        self.stalled = stalled = True
                    if not stalled:
                        far.sendall(line)
            if not stalled:
                far.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    @staticmethod
    def answers(client, far):
        try:
            while octets := far.recv(65536):
                client.sendall(octets)
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        client.close()
        far.close()

    def stop(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.threads[0].join(5)
