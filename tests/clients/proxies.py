"""Proxies for POP3 in front of pop3d; Python's poplib is the client behind each of them."""
import http.server
import os
import threading

from harness import ROOT
from launch import Superserver, find_program
from libraries import Poplib


class Front(Superserver):
    """A proxy that runs, from port to the server's port."""

    def __init__(self, case, server):
        self.target = server.port
        super().__init__(case.lab, case.home, ())


class NginxFront(Front):
    """nginx asks an HTTP server where each login lives; here everybody's answer is the same."""

    name = "nginx"

    def __init__(self, case, server):
        target = str(server.port)

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
        super().__init__(case, server)

    def command(self):
        settings = self.write("nginx.conf", f"""
load_module /usr/lib/nginx/modules/ngx_mail_module.so;
{"user games;" if ROOT else ""}
daemon off;
pid {self.work}/nginx.pid;
error_log {self.log_path};
events {{ }}
mail {{
	server_name mail.example;
	auth_http 127.0.0.1:{self.asked.server_port}/;
	server {{ listen 127.0.0.1:{self.port}; protocol pop3; }}
}}
""")
        return [find_program("nginx", "nginx"), "-e", self.log_path, "-c", settings]

    def stop(self):
        super().stop()
        self.asked.shutdown()
        self.asked.server_close()


class PerditionFront(Front):
    name = "perdition"

    def command(self):
        return [find_program("perdition.pop3", "perdition"), "--no_daemon", "--protocol", "POP3",
                "--bind_address", "127.0.0.1", "--listen_port", str(self.port), "--outgoing_server",
                f"127.0.0.1:{self.target}", "--config_file", self.write("perdition.conf", ""),
                "--pid_file", os.path.join(self.work, "perdition.pid"), "--map_library", ""]


class DovecotFront(Front):
    name = "dovecot"

    def command(self):
        base = os.path.join(self.work, "run")
        os.mkdir(base, 0o755)
        settings = self.write("dovecot.conf", f"""
base_dir = {base}
state_dir = {base}
log_path = {self.log_path}
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
