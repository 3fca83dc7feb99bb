import os
import poplib
import ssl
import sys

host, port, mode, login, password, authority, directory, keep = sys.argv[1:]


def connect():
    context = ssl.create_default_context(cafile=authority) if mode != "clear" else None
    if mode == "tls":
        client = poplib.POP3_SSL(host, int(port), context=context)
    else:
        client = poplib.POP3(host, int(port))
    if mode == "stls":
        client.stls(context)
    client.user(login)
    client.pass_(password)
    return client


client = connect()
for number in range(1, client.stat()[0] + 1):
    try:
        lines = client.retr(number)[1]
    except poplib.error_proto as error:
        if "line too long" not in str(error):
            raise
        # the rest of that line would be taken for the next answer
        client.close()
        client = connect()
        continue
    with open(os.path.join(directory, f"{len(os.listdir(directory)):05}"), "wb") as file:
        file.write(b"".join(line + b"\r\n" for line in lines))
    if keep == "delete":
        client.dele(number)
client.quit()
