"""`python -m gateway_proxy`, and the command `gateway-proxy`."""

import os
import signal
import sys


def main() -> None:
    """Run the command line of this process and exit."""
    # Python would show a traceback while modules are imported or the process ends, or lose the interrupt in between.
    # What has to be closed first runs under a handler of its own.
    if interrupts := signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from gateway_proxy.cli.main import ready_streams, run

    ready_streams()
    code = run(sys.argv[1:])
    if interrupts:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is done is done
    sys.exit(code)


if __name__ == "__main__":
    main()
