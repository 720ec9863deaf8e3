"""One module a page: reads the address, asks the services, fills the template."""
