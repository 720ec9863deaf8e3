"""`python -m gateway_proxy`, and the command `gateway-proxy`."""

import signal


def main() -> None:
    """Run the command line of this process and exit."""
    # Ends the process at once while modules are imported: Python would show a traceback there, or lose the interrupt.
    interrupts = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interrupts:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from gateway_proxy.cli.main import main as run

    if interrupts:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
