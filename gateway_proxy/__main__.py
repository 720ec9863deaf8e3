"""`python -m gateway_proxy`, and the command `gateway-proxy`."""

import os
import signal


def main() -> None:
    """Run the command line of this process and exit."""
    # Python would show a traceback while modules are imported or the process ends, or lose the interrupt in between.
    # What has to be closed first runs under a handler of its own.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from gateway_proxy.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
