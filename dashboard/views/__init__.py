"""The pages: handlers that read a request, ask the admin services and answer with a template. Nothing is decided here."""
