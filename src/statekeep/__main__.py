"""`python -m statekeep` is the command."""

from statekeep.cli.main import main

main()
