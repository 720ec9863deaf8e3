"""The data plane: requests in, streams out."""
