"""What cannot be verified is said before anything is embedded."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasets_tools.test_sets import make_test_set
from noisebench.errors import UserError
from noisebench.evaluation.embed import Embedder
from noisebench.evaluation.test_set import parse


class Untouched(Embedder):
    """Has no backbone: an image would be an error of another kind."""

    def __init__(self) -> None:
        pass


@pytest.mark.parametrize("protocol", ["lfw", "boundaryface"])
def test_pairs_of_one_kind(protocol: str, tmp_path: Path) -> None:
    make_test_set("pairs", tmp_path / "set", people=4, images=6, image_size=32)
    lines = (tmp_path / "set" / "pairs.txt").read_text(encoding="utf-8").splitlines()
    same = [line for line in lines if len(line.split()) == 3 and line.split()[-1] not in ("0", "-1")]
    (tmp_path / "set" / "pairs.txt").write_text("\n".join(same) + "\n", encoding="utf-8")
    spec = parse(str(tmp_path / "set"), protocol)
    with pytest.raises(UserError, match=r"verification needs both kinds|too few for"):
        spec.protocol.evaluate(spec.path, Untouched())


def test_a_template_without_images(tmp_path: Path) -> None:
    make_test_set("ijb", tmp_path / "set", people=4, images=6, image_size=32)
    (pairs,) = (tmp_path / "set" / "meta").glob("*_template_pair_label.txt")
    first, *others = pairs.read_text(encoding="utf-8").splitlines()
    changed = " ".join(["99999", *first.split()[1:]])
    pairs.write_text("\n".join([changed, *others]) + "\n", encoding="utf-8")
    spec = parse(str(tmp_path / "set"))
    with pytest.raises(UserError, match="template 99999 has no image"):
        spec.protocol.evaluate(spec.path, Untouched())
