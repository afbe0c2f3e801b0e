"""Embedding that was stopped goes on where it was, to the last bit, and never with the embeddings of other images."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from datasets_tools.synthetic import photograph
from datasets_tools.test_sets import make_test_set
from noisebench import backbones
from noisebench.cli import app, main
from noisebench.evaluation import kept as keeping
from noisebench.evaluation.embed import Embedder, Flip
from noisebench.evaluation.kept import kept_until_done
from noisebench.evaluation.result import Preprocessing
from noisebench.models.model_file import save_model

assert app, "the command line is what is stopped here"

SIZE = 16
BATCH = 3
IMAGES = np.random.default_rng(0).integers(0, 256, (11, SIZE, SIZE, 3), dtype=np.uint8)


class Counting(nn.Module):
    """Counts the images it is shown, without their mirror images, and is interrupted before it sees too many."""

    def __init__(self, most: int = 10**6) -> None:
        super().__init__()
        self.most, self.seen = most, 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.seen + len(images) > self.most:
            raise KeyboardInterrupt
        self.seen += len(images)
        return images[:, :, 3, :4].flatten(1)


@pytest.fixture(autouse=True)
def keep_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "SECONDS_BEFORE_KEEPING", 0.0)


def embedded(
    backbone: nn.Module, folder: Path, images: NDArray[np.uint8] = IMAGES, flip: Flip = "none", name: str = "a"
) -> tuple[NDArray[np.float32], float]:
    with kept_until_done(folder, name) as kept:
        preprocessing = Preprocessing(image_size=(SIZE, SIZE))
        embedder = Embedder(backbone, preprocessing=preprocessing, batch_size=BATCH, kept=kept)
        return embedder.embed(images, flip), embedder.mean_norm


def stop_after(count: int, folder: Path, flip: Flip = "none") -> None:
    with pytest.raises(KeyboardInterrupt):
        embedded(Counting(most=count), folder, flip=flip)


@pytest.mark.parametrize("flip", ["none", "sum", "concatenation"])
def test_goes_on_where_it_was_to_the_last_bit(flip: Flip, tmp_path: Path) -> None:
    expected, norm = embedded(Counting(), tmp_path / "whole", flip=flip)
    views = 1 if flip == "none" else 2
    stop_after(7 * views, tmp_path / "kept", flip)
    backbone = Counting()
    found, found_norm = embedded(backbone, tmp_path / "kept", flip=flip)
    assert backbone.seen == (len(IMAGES) - 2 * BATCH) * views
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    assert found_norm == norm
    assert not list(tmp_path.iterdir())  # nothing is left once it is done


def test_what_has_changed_is_embedded_again(tmp_path: Path) -> None:
    stop_after(10, tmp_path)
    changed = IMAGES.copy()
    changed[4, 3, 0, 0] ^= 1
    backbone = Counting()
    found, _ = embedded(backbone, tmp_path, changed)
    assert backbone.seen == len(IMAGES) - 2 * BATCH  # the changed batch, and the last, which had not been reached
    np.testing.assert_array_equal(found, embedded(Counting(), tmp_path / "whole", changed)[0])


def test_another_backbone_or_flip_finds_nothing(tmp_path: Path) -> None:
    for flip, name, views in [("none", "b", 1), ("sum", "a", 2), ("none", "a", 0)]:
        stop_after(10, tmp_path)
        backbone = Counting()
        embedded(backbone, tmp_path, flip=flip, name=name)  # type: ignore[arg-type]  # a list of texts
        assert backbone.seen == (len(IMAGES) * views or len(IMAGES) - 3 * BATCH)


def test_a_damaged_batch_is_embedded_again(tmp_path: Path) -> None:
    expected, _ = embedded(Counting(), tmp_path / "whole")
    stop_after(10, tmp_path / "kept")
    for file, data in zip(sorted((tmp_path / "kept").iterdir()), [b"", b"text", None], strict=True):
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]) if data is None else data)
    backbone = Counting()
    np.testing.assert_array_equal(embedded(backbone, tmp_path / "kept")[0], expected)
    assert backbone.seen == len(IMAGES)


def test_where_nothing_can_be_kept_it_goes_on_and_says_so_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="will not go on where it was") as told:
        found, _ = embedded(Counting(), tmp_path / "file" / "kept")
    assert len(told) == 1
    np.testing.assert_array_equal(found, embedded(Counting(), tmp_path / "whole")[0])


def test_what_is_short_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "SECONDS_BEFORE_KEEPING", 60.0)
    stop_after(10, tmp_path / "kept")
    assert not list(tmp_path.iterdir())


def test_files_of_others_in_the_folder_stay(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    embedded(Counting(), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


@pytest.fixture
def stopped_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Each batch of the first command embeds one image; a signal to end comes in its fourth. Counts the batches."""
    before = signal.getsignal(signal.SIGTERM)
    batches: list[int] = []
    outputs = Embedder._outputs

    def counted(embedder: Embedder, pixels: NDArray[np.uint8], flip: Flip) -> torch.Tensor:
        batches.append(len(pixels))
        if len(batches) == 4:
            signal.raise_signal(signal.SIGTERM)
        return outputs(embedder, pixels, flip)

    started = Embedder.__init__

    def small(embedder: Embedder, *arguments: object, **options: object) -> None:
        started(embedder, *arguments, **(options | {"batch_size": 1}))  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(Embedder, "__init__", small)
    monkeypatch.setattr(Embedder, "_outputs", counted)
    yield batches
    signal.signal(signal.SIGTERM, before)


def typed(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr("sys.argv", ["noisebench", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code


def test_both_verbs_are_stopped_in_one_line_and_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], stopped_once: list[int]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    network = backbones.create("small_ir", embedding_size=4, image_size=(32, 32))
    save_model(tmp_path / "model.pt", network, name="small_ir", embedding_size=4, image_size=(32, 32))
    (tmp_path / "faces").mkdir()
    for number in range(6):
        (tmp_path / "faces" / f"{number}.jpg").write_bytes(photograph(0, "train", number, 0, 32))
    make_test_set("tinyface", tmp_path / "set", people=4, images=6, image_size=32)
    model = ["--checkpoint", str(tmp_path / "model.pt")]
    for verb in (
        ["embed", str(tmp_path / "faces"), *model, "--out", str(tmp_path / "out.npy")],
        ["eval", *model, "--testset", str(tmp_path / "set"), "--json"],
    ):
        stopped_once.clear()
        assert typed(verb, monkeypatch) == 75
        assert capfd.readouterr().err == "noisebench: stopped; the same command goes on from here\n"
        assert not (tmp_path / "out.npy").exists() or verb[0] == "eval"
        assert typed(verb, monkeypatch) == 0
        first = capfd.readouterr().out
        so_far = len(stopped_once)
        written = (tmp_path / "out.npy").read_bytes()
        assert typed(verb, monkeypatch) == 0
        assert so_far == len(stopped_once) - so_far + 1  # the batch that was interrupted is begun twice
        assert capfd.readouterr().out == first
        assert (tmp_path / "out.npy").read_bytes() == written
    assert {file.name for file in tmp_path.iterdir()} == {"cache", "faces", "model.pt", "out.npy", "set"}
    assert not list((tmp_path / "cache" / "noisebench" / "embeddings").iterdir())
