"""Image files: their cosines and tables, against one image at a time; hostile images are named."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from typer.testing import CliRunner

from datasets_tools.synthetic import photograph
from noisebench import backbones
from noisebench.cli.app import app
from noisebench.errors import FileError
from noisebench.evaluation.embed import Embedder
from noisebench.evaluation.image_files import find_images, matrix_text, similarity, write_embeddings
from noisebench.evaluation.result import Preprocessing
from noisebench.formats import jpeg
from noisebench.models.model_file import save_model

SIZE = 16


class Corner(nn.Module):
    """Embeds an image as its first pixels."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, :, 0, :2].flatten(1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven images in folders, and a file that is none."""
    for number in range(7):
        place = tmp_path / "faces" / f"{number % 2}" / f"{6 - number}{'.jpg' if number else '.JPEG'}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(photograph(0, "train", number, 0, SIZE))
    (tmp_path / "faces" / "notes.txt").write_text("none", encoding="utf-8")
    return tmp_path / "faces"


def embedder(batch_size: int = 3) -> Embedder:
    return Embedder(Corner(), preprocessing=Preprocessing(image_size=(SIZE, SIZE)), batch_size=batch_size)


def slow(file: Path) -> NDArray[np.float32]:
    pixels = torch.from_numpy(jpeg.decode(file.read_bytes())).permute(2, 0, 1)[None]
    return np.asarray(Corner()((pixels.float() / 255 - 0.5) / 0.5)[0])


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
def test_tables_hold_every_image_by_name(suffix: str, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / f"out{suffix}"
    assert write_embeddings(embedder(), folder, out) == 7
    if suffix == ".npy":
        table = np.load(out, allow_pickle=False)
        names, norms, vectors = table["name"].tolist(), table["norm"], table["embedding"]
    else:
        columns = pq.read_table(out).to_pydict()
        names, norms, vectors = columns["name"], np.array(columns["norm"]), np.array(columns["embedding"])
    assert names == sorted(file.relative_to(folder).as_posix() for file in find_images(folder))
    assert {"0/6.JPEG", "1/5.jpg"} <= set(names)
    expected = np.array([slow(folder / name) for name in names])
    np.testing.assert_allclose(vectors, expected, rtol=1e-6)
    np.testing.assert_allclose(norms, np.sqrt((expected.astype(np.float64) ** 2).sum(axis=1)), rtol=1e-6)


def test_cosines_are_those_of_each_pair(folder: Path) -> None:
    files = find_images(folder)[:4]
    found = similarity(embedder(), files)
    for i, first in enumerate(files):
        for j, second in enumerate(files):
            a, b = slow(first).astype(np.float64), slow(second).astype(np.float64)
            assert found[i, j] == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)), abs=1e-6)


def test_a_matrix_has_a_header_and_the_ends_of_long_names() -> None:
    files = [Path("faces/a.jpg"), Path("faces/Ludwig_van_Beethoven_0001.jpg")]
    assert matrix_text(np.array([[1.0, -0.25], [-0.25, 1.0]]), files).splitlines() == [
        "                        a.jpg  …_Beethoven_0001.jpg",
        "a.jpg                  1.0000               -0.2500",
        "…_Beethoven_0001.jpg  -0.2500                1.0000",
    ]


def bomb(side: int) -> bytes:
    """A PNG that claims to be huge."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", side, side, 8, 2, 0, 0, 0) + bytes(99)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (bomb(60_000), "60000x60000 pixels"),
        (bomb(100), "cannot be decoded"),
        (photograph(0, "train", 0, 0, SIZE)[:-80], "cut short"),
        (b"", "the image is empty"),
        (b"text", "neither JPEG nor PNG"),
    ],
)
def test_a_hostile_image_is_named_and_nothing_is_written(data: bytes, told: str, folder: Path, tmp_path: Path) -> None:
    (folder / "bad.png").write_bytes(data)
    with pytest.raises(FileError, match=told) as caught:
        write_embeddings(embedder(), folder, tmp_path / "out.npy")
    assert caught.value.path == folder / "bad.png"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["faces"]


def test_a_huge_file_is_not_read(folder: Path) -> None:
    with (folder / "bad.jpg").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(FileError, match="too large for an image"):
        similarity(embedder(), [folder / "bad.jpg"])


def test_mistakes_are_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"unknown kind of file '.csv': choose from: .npy, .parquet"):
        write_embeddings(embedder(), folder, tmp_path / "out.csv")
    with pytest.raises(FileError, match="no such folder"):
        write_embeddings(embedder(), tmp_path / "none", tmp_path / "out.npy")
    with pytest.raises(FileError, match="no such image"):
        similarity(embedder(), [tmp_path / "none.jpg"])


def test_the_verbs_print_and_write(folder: Path, tmp_path: Path) -> None:
    backbone = backbones.create("small_ir", embedding_size=8, image_size=(32, 32))
    save_model(tmp_path / "model.pt", backbone, name="small_ir", embedding_size=8, image_size=(32, 32))
    files, checkpoint = [str(file) for file in find_images(folder)[:3]], str(tmp_path / "model.pt")
    printed = CliRunner().invoke(app, ["similarity", *files, "--checkpoint", checkpoint])
    header, *lines = printed.output.splitlines()
    assert header.split() == [line.split()[0] for line in lines] == [Path(file).name for file in files]
    assert [lines[n].split()[n + 1] for n in range(3)] == ["1.0000"] * 3
    assert len({len(line) for line in (header, *lines)}) == 1
    out = tmp_path / "out.parquet"
    done = CliRunner().invoke(
        app, ["embed", str(folder), "--checkpoint", checkpoint, "--out", str(out), "--flip", "concatenation"]
    )
    assert done.output == f"wrote {out}: 7 embeddings\n"
    assert pq.read_schema(out).field("embedding").type.list_size == 16
    assert CliRunner().invoke(app, ["export", checkpoint]).exception is not None
