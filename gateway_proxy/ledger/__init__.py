"""The books: a crash-safe spool on disk, and the writer that carries it into the store."""
