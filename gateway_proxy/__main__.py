"""`python -m gateway_proxy`."""

from gateway_proxy.cli.main import main

main()
