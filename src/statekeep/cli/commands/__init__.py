"""One file for each command or noun."""
