"""State dicts that others publish: arcface_torch's and AdaFace's.

=====================  =================================================================  ========
format                 content                                                            colours
=====================  =================================================================  ========
arcface_torch ``.pt``  a bare state dict (``model.pt``, ``backbone.pth``), or one under   RGB
                       ``state_dict_backbone`` (``checkpoint_gpu_0.pt``)
AdaFace ``.ckpt``      Lightning's: a state dict under ``state_dict``, in which the       BGR
                       backbone's names begin with ``model.``; the head's are left out
=====================  =================================================================  ========

Both take images of 112 x 112 pixels, scaled as (x / 255 - 0.5) / 0.5. Neither tells its backbone: it is recognised by
the names and shapes of its tensors.
"""

from __future__ import annotations

from pathlib import Path

from noisebench.errors import FileError
from noisebench.evaluation.result import Preprocessing
from noisebench.formats.tensor_pickle import StoredTensor
from noisebench.formats.torch_archive import TorchArchive, tensors_in
from noisebench.models.trained import TrainedModel, build, shapes_of

LIGHTNING_PREFIX = "model."
PARALLEL_PREFIX = "module."
"""Put before each name by torch's DataParallel."""

FAMILIES = {
    "conv1.weight": ("iresnet18", "iresnet34", "iresnet50", "iresnet100", "iresnet200", "iresnet2060"),
    "layers.0.layers.0.weight": ("mbf", "mbf_large"),
    "mask_token": ("vit_t", "vit_s", "vit_b"),
    "input_layer.0.weight": (
        *("ir_18", "ir_34", "ir_50", "ir_101", "ir_152", "ir_200"),
        *("ir_se_50", "ir_se_101", "ir_se_152", "ir_se_200"),
    ),
}
"""The published backbones, by a tensor that all of a family have."""

EMBEDDING_NORMS = (
    *("features.running_mean", "features.layers.3.running_mean", "feature.3.running_mean"),
    "output_layer.4.running_mean",
)
"""The last normalisation of each family: as long as an embedding."""

NAME_IT = "name it, e.g. --backbone iresnet50"


def read_archive(path: Path, archive: TorchArchive, backbone: str | None) -> TrainedModel:
    """Build the model of a file in one of the formats above.

    Raises:
        FileError: It is in none of them, its backbone is neither named nor recognised, or its weights do not fit.
        UserError: There is no backbone of that name.
    """
    state, preprocessing = _state(path, archive.content)
    shapes = {name: tensor.shape for name, tensor in state.items()}
    embedding_size = next((shapes[name][0] for name in EMBEDDING_NORMS if len(shapes.get(name, ())) == 1), 512)
    name = backbone or _recognise(path, shapes, max(embedding_size, 1))
    return build(path, name, preprocessing, max(embedding_size, 1), shapes, lambda: archive.tensors(state))


def _state(path: Path, content: dict[str, object]) -> tuple[dict[str, StoredTensor], Preprocessing]:
    """The backbone's tensors, by its own names."""
    if "state_dict" in content:
        state = _stripped(tensors_in(content["state_dict"]), LIGHTNING_PREFIX)
        if not state:
            problem = f"a Lightning checkpoint without tensors named {LIGHTNING_PREFIX}..., as AdaFace's are"
            raise FileError(path, problem)
        return state, Preprocessing(channels="bgr")
    bare = tensors_in(content.get("state_dict_backbone", content))
    if bare is None:
        problem = "neither a model file, nor a state dict of arcface_torch, nor a checkpoint of AdaFace"
        raise FileError(path, problem, "save the backbone's state dict")
    return _stripped(bare, PARALLEL_PREFIX) or bare, Preprocessing(channels="rgb")


def _stripped(state: dict[str, StoredTensor] | None, prefix: str) -> dict[str, StoredTensor]:
    """The tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in (state or {}).items() if name.startswith(prefix)}


def _recognise(path: Path, shapes: dict[str, tuple[int, ...]], embedding_size: int) -> str:
    """The backbone whose tensors have these names and shapes, or else these names."""
    family = next((names for tensor, names in FAMILIES.items() if tensor in shapes), ())
    same_names = None
    for name in family:
        expected = shapes_of(name, embedding_size, (112, 112))
        if expected == shapes:
            return name
        if expected.keys() == shapes.keys():
            same_names = same_names or name
    if same_names:  # then one shape differs, which is worth more to hear than that nothing was recognised
        return same_names
    raise FileError(path, "is a state dict, which does not tell its backbone, and none is recognised", NAME_IT)
