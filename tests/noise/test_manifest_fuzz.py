"""Thousands of damaged manifests: each is refused in one clear line or is the manifest that was written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets_tools.make_noise import make_manifest
from noisebench.errors import FileError
from noisebench.noise.manifest import Manifest
from noisebench.noise.recipe import load_recipe
from tests.damage import damages, in_a_cage, watched
from tests.fabricated import fabricated_set


def write_manifest(path: Path) -> Manifest:
    outliers = fabricated_set(100, first_key=5000, folder="outliers")
    manifest = make_manifest(load_recipe("c20o20"), fabricated_set(40), outliers, seed=4)
    manifest.write(path)
    return manifest


def damage_manifest(folder: Path, count: int) -> None:
    path = folder / "m.parquet"
    manifest = write_manifest(path)
    num_read = 0
    for damage in damages(path.read_bytes(), count, seed=1):
        path.write_bytes(damage.data)
        with watched():
            try:
                found = Manifest.read(path)
            except FileError as error:
                if "\n" in str(error):
                    raise
                continue
        assert found.checksum == manifest.checksum
        num_read += 1
    assert num_read < count / 4  # what is read has changes where nothing is kept, or in a fingerprint


def test_damaged_manifests() -> None:
    in_a_cage(damage_manifest, 2000)


@given(junk=st.binary(max_size=200), ends=st.booleans())
def test_junk_is_refused(tmp_path_factory: pytest.TempPathFactory, junk: bytes, ends: bool) -> None:
    path = tmp_path_factory.mktemp("junk") / "m.parquet"
    path.write_bytes(b"PAR1" + junk + b"PAR1" if ends else junk)
    with pytest.raises(FileError):
        Manifest.read(path)
