"""The command line: reads arguments, calls the services, prints. It decides nothing about keys or money."""
