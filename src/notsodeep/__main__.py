"""``python -m notsodeep``: the command line."""

from notsodeep.cli.app import main

main()
