"""`python -m service [--host H] [--port P]`: serve until told to stop; `python -m service keys …`: access keys.

`python -m service score IN OUT`: an archive, one row a file.
"""

import argparse
import signal
import ssl
import sys
from contextlib import suppress

from uvicorn.config import STARTUP_FAILURE

from service.app import create_app
from service.keycommand import run as run_keys
from service.logs import configure
from service.processes.supervisor import supervise
from service.scorecommand import run as run_score
from service.server import DrainingServer, configured
from service.session import ProviderUnavailable
from service.settings import Settings, read_settings


def main() -> int:
    """Serve, see to the keys, or score an archive."""
    if sys.argv[1:2] == ["score"]:
        return run_score(sys.argv[2:])
    if sys.argv[1:2] == ["keys"]:
        return run_keys(sys.argv[2:])
    return serve()


def serve() -> int:
    """Read the settings, serve, and say in one line why not where that cannot be."""
    parser = argparse.ArgumentParser(
        prog="python -m service",
        description="Serve the models. All else: NEUROTRIAGE_…; python -m service keys --help: access keys; "
        "python -m service score --help: archives",
    )
    parser.add_argument("--host", help="address to listen on")
    parser.add_argument("--port", type=int, help="port to listen on")
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    try:
        settings = read_settings(**given)
        check_certificate(settings)
        lines = configure(settings.log_level)
        if settings.workers > 1:
            return supervise(settings, lines)
        app = create_app(settings)
        app.state.metrics.lost_log_lines.set_function(lambda: lines.lost)
    except (ValueError, ProviderUnavailable) as error:
        print(f"cannot start: {error}", file=sys.stderr)  # noqa: T201 - there is no log yet
        return 2
    config = configured(app, settings, host=settings.host, port=settings.port)
    server = DrainingServer(config, app.state.intake, settings.drain_notice_seconds, settings.drain_seconds)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(server.status))  # uvicorn raises it again once it has drained
    try:
        with suppress(KeyboardInterrupt):  # uvicorn raises it again once it has drained
            server.run()
    finally:
        lines.close()
    return server.status if server.started else STARTUP_FAILURE


def check_certificate(settings: Settings) -> None:
    """Raise `ValueError` where certificate and key cannot be read or are no pair."""
    if settings.tls_cert is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key, password="")
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(f"tls_cert and tls_key cannot be used: {error.strerror or error}") from None


if __name__ == "__main__":
    sys.exit(main())
