"""`python -m nestling`: the same as the `nestling` command."""

from nestling.cli.main import main

main()
