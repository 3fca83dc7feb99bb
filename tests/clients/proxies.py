"""Proxies for POP3 in front of pop3d; Python's poplib is the client behind each of them."""
import http.server
import os
import signal
import subprocess
import threading

from client import ClientFailed, kill_group
from harness import ROOT, retry_until
from launch import find_program, free_port, listening_at
from libraries import Poplib


class Front:
    """A proxy that runs, from port to the server's port."""

    def __init__(self, case, server):
        self.work, self.target = case.work, server.port
        self.port = free_port()
        self.log = os.path.join(self.work, "front.log")
        self.prepare()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd="/", start_new_session=True)
        up = retry_until(lambda: listening_at(self.port) or self.process.poll() is not None)
        if not up or self.process.poll() is not None:
            self.stop()
            with open(self.log, encoding="latin-1") as file:
                raise ClientFailed(f"{type(self).__name__} does not start: {file.read()[-2000:]}")

    def prepare(self):
        pass

    def write(self, name, text):
        path = os.path.join(self.work, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def command(self):
        raise NotImplementedError

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            pass
        kill_group(self.process.pid)
        self.process.wait()


class NginxFront(Front):
    """nginx asks an HTTP server where each login lives; here everybody's answer is the same."""

    def prepare(self):
        target = str(self.target)

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                for name, value in (("Status", "OK"), ("Server", "127.0.0.1"), ("Port", target)):
                    self.send_header("Auth-" + name, value)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.asked = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.asked.serve_forever, daemon=True).start()

    def command(self):
        settings = self.write("nginx.conf", f"""
load_module /usr/lib/nginx/modules/ngx_mail_module.so;
{"user games;" if ROOT else ""}
daemon off;
pid {self.work}/nginx.pid;
error_log {self.log};
events {{ }}
mail {{
	server_name mail.example;
	auth_http 127.0.0.1:{self.asked.server_port}/;
	server {{ listen 127.0.0.1:{self.port}; protocol pop3; }}
}}
""")
        return [find_program("nginx", "nginx"), "-e", self.log, "-c", settings]

    def stop(self):
        super().stop()
        self.asked.shutdown()
        self.asked.server_close()


class PerditionFront(Front):
    def command(self):
        return [find_program("perdition.pop3", "perdition"), "--no_daemon", "--protocol", "POP3",
                "--bind_address", "127.0.0.1", "--listen_port", str(self.port), "--outgoing_server",
                f"127.0.0.1:{self.target}", "--config_file", self.write("perdition.conf", ""),
                "--pid_file", os.path.join(self.work, "perdition.pid"), "--map_library", ""]


class DovecotFront(Front):
    def command(self):
        base = os.path.join(self.work, "run")
        os.mkdir(base, 0o755)
        settings = self.write("dovecot.conf", f"""
base_dir = {base}
state_dir = {base}
log_path = {self.log}
protocols = pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
passdb {{
	driver = static
	args = proxy=y host=127.0.0.1 port={self.target} nopassword=y
}}
service pop3-login {{
	inet_listener pop3 {{
		port = {self.port}
	}}
	inet_listener pop3s {{
		port = 0
	}}
}}
""")
        return [find_program("dovecot", "dovecot-pop3d"), "-F", "-c", settings]


class Proxied(Poplib):
    remarks = "in clear only; poplib is the client"
    quick = False
    modes = ("clear",)
    front = None


class Nginx(Proxied):
    name = "nginx mail proxy"
    package = "nginx"
    front = NginxFront


class Perdition(Proxied):
    name = "perdition"
    package = "perdition"
    front = PerditionFront


class Dovecot(Proxied):
    name = "Dovecot proxy"
    package = "dovecot-core"
    front = DovecotFront


CLIENTS = [Nginx, Perdition, Dovecot]
