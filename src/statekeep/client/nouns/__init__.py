"""The nouns of a client, with the names that they have in `@statebacked/client`, and ours that it does not know."""
