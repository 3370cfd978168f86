"""`python -m analysis.cli`: the same as `truelift`."""

from analysis.cli import main

main()
