"""``python -m noisebench``: the command line."""

from noisebench.cli import main

main()
