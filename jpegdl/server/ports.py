"""The port of the server, looked at before the pairs are loaded."""

import os
import socket

FIRST_PORT = 7860


def free_port() -> int:
    """The port that the environment names, else 7860. Ends the program, in one sentence, if somebody listens there."""
    named = os.environ.get("GRADIO_SERVER_PORT", str(FIRST_PORT))
    if not named.isdecimal() or not 0 < int(named) < 2**16:
        raise SystemExit(f"GRADIO_SERVER_PORT must be a number from 1 to 65535, not {named!r}.")
    host = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1").strip("[]")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(named)))
        except OSError as error:
            raise SystemExit(
                f"Nothing can listen on {host}, port {named} ({error.strerror}); if another program does, end it or "
                f"choose another port: GRADIO_SERVER_PORT={int(named) % 65535 + 1}."
            ) from None
    return int(named)


__all__ = ["free_port"]
