"""Adapters that hold secrets: JSON Web Tokens, the server's own key, and the file with the first credentials."""
