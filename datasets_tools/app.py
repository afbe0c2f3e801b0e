"""``noisebench data`` and ``python -m datasets_tools``: make and check data sets. Arguments in, one call, text out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Make and check data sets and noise manifests.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.command()
def faces(
    out: Annotated[Path, typer.Argument(help="New folder for the data set.")],
    identities: Annotated[int, typer.Option(min=2, help="Identities of the training set.")] = 240,
    images: Annotated[int, typer.Option(min=1, help="Images an identity.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Everything about the set follows from it.")] = 0,
) -> None:
    """Make synthetic faces: a training set, an outlier set and a verification set of other identities.

    Example: noisebench data faces data/faces --identities 240 --images 24
    """
    from datasets_tools.synthetic import make_faces

    make_faces(out, identities=identities, images=images, seed=seed)
    typer.echo(f"wrote {out}")


@app.command()
def noise(
    recipe: Annotated[str, typer.Argument(help="Noise recipe, such as closed30.")],
    data: Annotated[Path, typer.Option(help="Data set's folder.")],
    out: Annotated[Path, typer.Option(help="Manifest to write, a .parquet file.")],
    outliers: Annotated[
        Path | None, typer.Option(help="Outlier set; default: 'outliers' in the data's folder.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 0,
) -> None:
    """Write a noisy set's manifest: for each image the label to train with, and the truth.

    Example: noisebench data noise closed30 --data data/faces --out closed30.parquet
    """
    from datasets_tools.audit import audit
    from datasets_tools.make_noise import make_manifest
    from noisebench.formats.face_set import FaceSet
    from noisebench.noise.recipe import load_recipe

    resolved = load_recipe(recipe)
    base = FaceSet.open(data)
    if outliers is None and (data / "outliers").is_dir():
        outliers = data / "outliers"
    others = FaceSet.open(outliers) if outliers is not None and resolved.needs_outliers else None
    manifest = make_manifest(resolved, base, others, seed)
    manifest.write(out)
    typer.echo(f"{audit(manifest, base, others)}\nwrote {out}")


@app.command("audit")
def audit_(
    file: Annotated[Path, typer.Argument(help="Manifest.")],
    data: Annotated[Path | None, typer.Option(help="The data set it was made for.")] = None,
    outliers: Annotated[
        Path | None, typer.Option(help="Outlier set; default: 'outliers' in the data's folder.")
    ] = None,
) -> None:
    """Check a manifest: realised rates, checksum, and with --data that its recipe gives just this manifest again.

    Leaves with exit code 1 on any difference. Example: noisebench data audit closed30.parquet --data data/faces
    """
    from datasets_tools.audit import audit
    from noisebench.formats.face_set import FaceSet
    from noisebench.noise.manifest import Manifest

    base = FaceSet.open(data) if data is not None else None
    if outliers is None and data is not None and (data / "outliers").is_dir():
        outliers = data / "outliers"
    report = audit(Manifest.read(file), base, FaceSet.open(outliers) if outliers is not None else None)
    typer.echo(str(report))
    raise typer.Exit(0 if report.passed else 1)
