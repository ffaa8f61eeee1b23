"""A server that tells who asks, and a client that asks: run inside namespaces, so it needs nothing but Python.

peer.py serve NAME PROTOCOL/PORT …     answers "NAME sees ADDRESS says PAYLOAD"; prints "ready" when it listens
peer.py ask PROTOCOL ADDRESS PORT PAYLOAD SECONDS
"""

import select
import socket
import sys

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def serve(name: str, ports: list[str]) -> None:
    poller = select.poll()
    listeners = {}
    for text in ports:
        protocol, _, port = text.partition("/")
        listener = socket.socket(socket.AF_INET, KINDS[protocol])
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("0.0.0.0", int(port)))
        if protocol == "tcp":
            listener.listen(64)
        listeners[listener.fileno()] = (protocol, listener)
        poller.register(listener, select.POLLIN)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        for fd, _ in poller.poll():
            protocol, listener = listeners[fd]
            if protocol == "udp":
                data, address = listener.recvfrom(65536)
                listener.sendto(f"{name} sees {address[0]} says {data.decode()}".encode(), address)
                continue
            connection, address = listener.accept()
            connection.sendall(f"{name} sees {address[0]} says ".encode())
            while data := connection.recv(65536):
                connection.sendall(data)
            connection.close()


def ask(protocol: str, address: str, port: int, payload: str, seconds: float) -> str:
    if protocol == "tcp":
        connection = socket.create_connection((address, port), seconds)
        connection.sendall(payload.encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while data := connection.recv(65536):
            answer += data
        return answer.decode() or "closed"
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    client = socket.socket(family, socket.SOCK_DGRAM)
    client.settimeout(seconds)
    client.connect((address, port))
    client.send(payload.encode())
    return client.recv(65536).decode()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], sys.argv[3:])
    try:
        print(ask(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5], float(sys.argv[6])))
    except (ConnectionRefusedError, ConnectionResetError):
        print("refused")
    except TimeoutError:
        print("silence")
    except OSError as error:
        print("unreachable" if error.errno in (101, 113) else f"error {error}")
