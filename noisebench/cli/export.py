"""``noisebench export``: a trained model in a format that others read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noisebench.cli.completion import complete_run
from noisebench.cli.options import Backbone, ChannelOrder
from noisebench.errors import UserError


def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(help="A run's folder, or a .pt, .ckpt or .safetensors file.", autocompletion=complete_run),
    ],
    onnx: Annotated[Path | None, typer.Option(help="ONNX file to write.")] = None,
    safetensors: Annotated[Path | None, typer.Option(help="File of safetensors to write.")] = None,
    backbone: Backbone = None,
    channels: ChannelOrder = None,
) -> None:
    """Write a model as ONNX or as safetensors, with what is to be done to images before it.

    An ONNX file takes batches of any size. It is run once by onnxruntime and compared with torch: a file that differs
    by more than 1e-4 is not written.

    Example: noisebench export results/runs/synth/clean/arcface/seed0-... --onnx arcface.onnx
    """
    from noisebench.models import export as exporting
    from noisebench.models import open_model

    if onnx is None and safetensors is None:
        raise UserError("nothing to write: give --onnx FILE.onnx, --safetensors FILE.safetensors, or both")
    for path, suffix in ((onnx, ".onnx"), (safetensors, ".safetensors")):
        if path is not None and path.suffix != suffix:
            raise UserError(
                f"--{suffix[1:]} '{path}': give a name that ends with {suffix}, by which it is opened again"
            )
    model = open_model(checkpoint, backbone, channels)
    if onnx is not None:
        difference = exporting.to_onnx(model, onnx)
        typer.echo(f"wrote {onnx}: onnxruntime's output differs from torch's by at most {difference:.1e}")
    if safetensors is not None:
        exporting.to_safetensors(model, safetensors, exporting.training_record(checkpoint))
        typer.echo(f"wrote {safetensors}")
