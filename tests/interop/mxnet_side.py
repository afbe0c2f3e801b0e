"""What the tests ask of real MXNet, run by MXNet's own interpreter: ``python -m tests.interop.mxnet_side VERB FOLDER``.

It reads ``FOLDER/question.pickle`` and writes ``FOLDER/answer.pickle``, both of plain Python values.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np


def write(folder: Path, question: list[tuple[int, bytes]]) -> None:
    """Write keys and payloads to mxnet.rec and mxnet.idx."""
    writer = mx.recordio.MXIndexedRecordIO(str(folder / "mxnet.idx"), str(folder / "mxnet.rec"), "w")
    for key, payload in question:
        writer.write_idx(key, payload)
    writer.close()


def read(folder: Path, question: list[int]) -> list[bytes]:
    """The payloads of the keys in ours.rec."""
    reader = mx.recordio.MXIndexedRecordIO(str(folder / "ours.idx"), str(folder / "ours.rec"), "r")
    return [reader.read_idx(key) for key in question]


def pack(folder: Path, question: list[tuple[float | list[float], int, bytes]]) -> list[bytes]:
    """The payloads of label, id and body."""
    return [mx.recordio.pack(mx.recordio.IRHeader(0, label, number, 0), body) for label, number, body in question]


def decode(folder: Path, question: list[bytes]) -> list[tuple[tuple[int, ...], bytes]]:
    """Shape and pixels of encoded images."""
    images = [mx.image.imdecode(encoded).asnumpy() for encoded in question]
    return [(image.shape, image.tobytes()) for image in images]


def face_sets(folder: Path, question: str) -> list[tuple[list[int], list[int], str, list[bytes]]]:
    """Keys, labels, fingerprint and pixels of a face set through both readers, MXNet's by several threads."""
    from noisebench.formats.face_set import FaceSet

    answers = []
    for reader in ("native", "mxnet"):
        faces = FaceSet.open(Path(question), reader=reader)
        keys = faces.keys[:: max(1, len(faces.keys) // 200)].tolist()
        pixels = np.empty((len(keys), *faces.image_size, 3), dtype=np.uint8)
        faces.read_images(keys, pixels, threads=4)
        answers.append((faces.keys.tolist(), faces.labels.tolist(), faces.fingerprint, [p.tobytes() for p in pixels]))
    return answers


def insightface(folder: Path, question: str) -> tuple[list[tuple[int, int, bytes, tuple[int, ...]]], list[list[int]]]:
    """A set as arcface_torch and AdaFace's converter read it: by record 0, with labels from the images' records.

    Key, label, image and shape of every image; and the range in each identity's record, as MXNet's own loader reads it.
    """
    records = mx.recordio.MXIndexedRecordIO(f"{question}/train.idx", f"{question}/train.rec", "r")
    end_of_images, end = (int(value) for value in mx.recordio.unpack(records.read_idx(0))[0].label)
    images = []
    for key in range(1, end_of_images):
        header, image = mx.recordio.unpack(records.read_idx(key))
        images.append((key, int(header.label), image, mx.image.imdecode(image).shape))
    ranges = [mx.recordio.unpack(records.read_idx(key))[0].label for key in range(end_of_images, end)]
    return images, [[int(value) for value in bounds] for bounds in ranges]


def faults(folder: Path, question: dict[str, int]) -> list[str]:
    """What the mxnet reader says of damaged records."""
    from noisebench.errors import FileError
    from noisebench.formats.face_set import FaceSet

    messages = []
    for name, key in question.items():
        try:
            FaceSet.open(folder / name, reader="mxnet").image(key)
        except FileError as error:
            messages.append(str(error))
    return messages


def threads(folder: Path, question: int) -> int:
    """How many threads torch has once a set was opened through MXNet, having had ``question`` before."""
    import torch

    from noisebench.formats.face_set import FaceSet

    torch.set_num_threads(question)
    FaceSet.open(folder, reader="mxnet")
    return int(torch.get_num_threads())


if __name__ == "__main__":
    here = Path(sys.argv[2])
    verbs: list[Callable[[Path, Any], object]] = [write, read, pack, decode, face_sets, insightface, faults, threads]
    verb = {function.__name__: function for function in verbs}[sys.argv[1]]
    (here / "answer.pickle").write_bytes(
        pickle.dumps(verb(here, pickle.loads((here / "question.pickle").read_bytes())))
    )
