"""Whether an address can be listened on, asked before it is printed."""

import socket

from experiments.errors import UsageError


def refuse_taken(port: int, address: str) -> None:
    """UsageError where nobody can listen: before an address is printed that another program answers."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as asked:
            asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            asked.bind(place)
    except OSError as error:
        raise UsageError(
            f"{address}:{port} cannot be listened on ({error.strerror}); choose another --port or --address"
        ) from error
