"""One of everything that a package can add to noisebench; ``pyproject.toml`` names them."""
