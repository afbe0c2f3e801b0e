"""``noisebench eval``: a trained backbone on a verification set."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    checkpoint: Annotated[
        Path, typer.Option(help="A run's folder, its model.pt, or a state dict such as arcface_torch's.")
    ],
    testset: Annotated[Path, typer.Option(help="Verification set, an InsightFace .bin file.")],
    backbone: Annotated[str | None, typer.Option(help="Backbone of a bare state dict, such as iresnet50.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Verify the pairs of a test set: accuracy over ten folds, and true accepts at given false accept rates.

    Example: noisebench eval --checkpoint results/runs/synth/clean/arcface/seed0-... --testset lfw.bin
    """
    from noisebench.evaluation.embed import evaluate as verify
    from noisebench.formats import verification_bin
    from noisebench.training.model_file import MODEL_FILE, load_model

    test_set = verification_bin.read(testset)
    model = load_model(checkpoint / MODEL_FILE if checkpoint.is_dir() else checkpoint, backbone)
    result = verify(model.backbone, test_set, device="cpu", image_size=model.image_size)
    if as_json:
        typer.echo(json.dumps({"test_set": test_set.name, **dataclasses.asdict(result)}, indent=2))
        return
    tars = "  ".join(f"TAR@FAR={far} {100 * tar:.2f} %" for far, tar in result.tar_at_far.items())
    typer.echo(
        f"{test_set.name}: accuracy {100 * result.accuracy:.2f} ± {100 * result.accuracy_std:.2f} % "
        f"on {result.num_pairs} pairs  {tars}  mean norm {result.mean_norm:.2f}"
    )
