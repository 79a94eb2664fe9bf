"""Connections whose other end vanished without a word: a machine that lost power, a network that forgot them."""

import socket

#: Seconds of silence until the other end is asked whether it is there, seconds between two questions, and how many
#: may stay without an answer: after two minutes such a connection is closed. The answers come from the other end's
#: system, so one that is merely silent stays connected, even one that hangs, unless bytes for it wait all that time.
IDLE_S, INTERVAL_S, QUESTIONS = 60, 15, 4


def keep_alive(
    connection: socket.socket, idle: int = IDLE_S, interval: int = INTERVAL_S, questions: int = QUESTIONS
) -> None:
    """Let the system find out when a connection's other end is gone; also when bytes for it are under way."""
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", idle),
        ("TCP_KEEPINTVL", interval),
        ("TCP_KEEPCNT", questions),
        # Milliseconds that sent bytes may stay unconfirmed, and others unsent because the other end takes none; the
        # questions are not asked meanwhile.
        ("TCP_USER_TIMEOUT", (idle + interval * questions) * 1000),
    ):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
