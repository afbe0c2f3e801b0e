"""``noisebench eval``: a trained backbone on a test set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from noisebench.cli.completion import complete_run
from noisebench.cli.options import Backbone, ChannelOrder, Device


def evaluate(
    testset: Annotated[
        str, typer.Option(help="File or folder of a test set, with variants such as lfw.bin@gauss:sigma=1.5.")
    ],
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="A run's folder, or a .pt, .ckpt, .onnx or .safetensors file; none where the test set holds features.",
            autocompletion=complete_run,
        ),
    ] = None,
    backbone: Backbone = None,
    channels: ChannelOrder = None,
    protocol: Annotated[
        str | None, typer.Option(help="lfw, boundaryface, ijb, ...; default: by the test set's content.")
    ] = None,
    device: Device = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all that the result depends on.")] = False,
) -> None:
    """Evaluate a backbone on a test set, by the protocol of its content or another one.

    Pairs in a .bin file or a list: accuracy over ten folds, TAR@FAR, AUC and EER. IJB-B and IJB-C, IJB-S, MegaFace and
    TinyFace: a folder as its publishers lay it out; see docs/evaluation-protocols.md.

    Stopped, the same command goes on where it was: embeddings are kept in ~/.cache/noisebench until it is done.

    Example: noisebench eval --checkpoint results/runs/synth/clean/arcface/seed0-... --testset lfw.bin
    """
    from noisebench.evaluation.embed import find_device
    from noisebench.evaluation.kept import folder_of_user, kept_until_done
    from noisebench.evaluation.result import lines
    from noisebench.evaluation.test_set import evaluate_test_set, parse
    from noisebench.models import fingerprint, open_model

    spec = parse(testset, protocol)
    if checkpoint is None:
        metrics = evaluate_test_set(None, spec)
    else:
        model = open_model(checkpoint, backbone, channels)
        where, seen = find_device(device), model.preprocessing
        identity = f"{fingerprint(checkpoint)} {model.name}"
        with kept_until_done(folder_of_user(identity, str(spec.path.resolve()), spec.variants), identity) as kept:
            metrics = evaluate_test_set(
                model.backbone.to(where),
                spec,
                device=where,
                image_size=seen.image_size,
                channels=seen.channels,
                visible=True,
                kept=kept,
            )
    if as_json:
        typer.echo(json.dumps({"test_set": spec.name, **metrics.model_dump(mode="json")}, indent=2))
    else:
        typer.echo(f"{spec.name}: {'  '.join(lines(metrics))}")
