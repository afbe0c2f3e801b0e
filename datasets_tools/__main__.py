"""``python -m datasets_tools``: the verbs of ``noisebench data``."""

from datasets_tools.app import app
from noisebench.cli.app import run

run(app, "python -m datasets_tools")
