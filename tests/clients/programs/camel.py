"""Evolution's Camel by its Python binding."""
import os
import sys

import gi

gi.require_version("Camel", "1.2")
from gi.repository import Camel, Gio, GLib  # noqa: E402 pylint: disable=wrong-import-position

host, port, mode, login, password, authority, directory, keep = sys.argv[1:]


class Session(Camel.Session):
    """A session whose user always types the same password."""

    def do_authenticate_sync(self, service, mechanism, cancellable):
        service.set_password(password)
        result = service.authenticate_sync(mechanism, cancellable)
        if result != Camel.AuthenticationResult.ACCEPTED:
            raise GLib.Error("the server refuses the password")
        return True


if mode != "clear":
    Gio.TlsBackend.get_default().set_default_database(Gio.TlsFileDatabase.new(authority))
home = os.environ["HOME"]
Camel.init(home, False)
Camel.provider_init()
session = Session(user_data_dir=home + "/data", user_cache_dir=home + "/cache", online=True)
session.set_online(True)
service = session.add_service("test", "pop", Camel.ProviderType.STORE)
settings = service.ref_settings()
settings.set_host(host)
settings.set_port(int(port))
settings.set_user(login)
settings.set_security_method({
    "clear": Camel.NetworkSecurityMethod.NONE,
    "stls": Camel.NetworkSecurityMethod.STARTTLS_ON_STANDARD_PORT,
    "tls": Camel.NetworkSecurityMethod.SSL_ON_ALTERNATE_PORT}[mode])
service.connect_sync(None)
inbox = service.get_inbox_folder_sync(None)
inbox.refresh_info_sync(None)
there = len(os.listdir(directory))
for number, uid in enumerate(inbox.get_uids()):
    message = inbox.get_message_sync(uid, None)
    stream = Camel.StreamMem.new()
    message.write_to_stream_sync(stream, None)
    with open(os.path.join(directory, f"{there + number:05}"), "wb") as file:
        file.write(bytes(stream.get_byte_array()))
    if keep == "delete":
        inbox.set_message_flags(uid, Camel.MessageFlags.DELETED, Camel.MessageFlags.DELETED)
inbox.synchronize_sync(keep == "delete", None)
service.disconnect_sync(True, None)
