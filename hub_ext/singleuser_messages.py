"""What a notebook sends while its notebook server has lost the gateway is kept and sent when it is found again.

Jupyter Server's gateway client drops such messages without a word: the cell keeps its ``[*]`` for ever, although the
kernel goes on and the connection comes back.
"""

from typing import Any

from tornado.websocket import WebSocketClosedError

#: Messages that are kept for one notebook; who sends more, mostly a widget that nobody listens to, loses the newest.
MOST = 1000


def mend_messages(connection: Any) -> None:
    """Let a class like Jupyter Server's ``GatewayWebSocketConnection`` keep what it can't send."""
    receive, connected = connection.handle_incoming_message, connection._connection_done

    def keep(self: Any, message: Any) -> None:
        kept = self.__dict__.setdefault("_kept_messages", [])
        if len(kept) < MOST:
            kept.append(message)

    def handle_incoming_message(self: Any, message: Any) -> None:
        future = self.ws_future
        failed = future is None or (future.done() and (future.cancelled() or future.exception() is not None))
        if self.ws is None and failed and not self.disconnected:
            keep(self, message)
        else:
            receive(self, message)

    def write_message(self: Any, message: Any) -> None:
        if self.disconnected:
            return
        if self.ws is None:
            keep(self, message)
            return
        try:
            self.ws.write_message(message)
        except WebSocketClosedError:
            keep(self, message)
        except Exception as error:
            self.log.error("A message for the gateway could not be sent: %s", type(error).__name__)

    def connection_done(self: Any, future: Any) -> None:
        connected(self, future)
        if self.ws is None:
            return
        kept, self.__dict__["_kept_messages"] = self.__dict__.get("_kept_messages", []), []
        for message in kept:
            self._write_message(message)

    connection.handle_incoming_message = handle_incoming_message
    connection._write_message = write_message
    connection._connection_done = connection_done


def mend_gateway_connections(server: Any) -> None:
    """Mend Jupyter Server's own class, where it is as it is known."""
    try:
        from jupyter_server.gateway.connections import GatewayWebSocketConnection

        mend_messages(GatewayWebSocketConnection)
    except (ImportError, AttributeError) as error:
        server.log.warning("Cells that are run while the gateway is away are dropped: %s", error)
