"""Run the command line as ``python -m notsodeep.cli``."""

from notsodeep.cli.app import main

main()
