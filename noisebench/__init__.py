"""noisebench: face recognition under label noise, benchmarked exactly.

The package is laid out in the order the data flows:
``formats`` (bytes on disk) -> ``noise`` (what is mislabelled) -> ``data`` (samples) -> ``backbones`` and
``methods`` on ``heads`` (the network) -> ``training`` -> ``evaluation`` -> ``bench`` (methods x noise x seeds)
-> ``analysis`` (tables and figures). ``cli`` only parses arguments.
"""

__version__ = "0.1.0"
