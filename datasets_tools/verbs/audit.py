"""``noisebench data audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datasets_tools.verbs._options import Outliers, open_outliers


def command(
    file: Annotated[Path, typer.Argument(help="Manifest.")],
    data: Annotated[Path | None, typer.Option(help="The data set it was made for.")] = None,
    outliers: Outliers = None,
) -> None:
    """Check a manifest: realised rates, checksum, and with --data that its recipe gives just this manifest again.

    Leaves with exit code 1 on any difference. Example: noisebench data audit closed30.parquet --data data/faces
    """
    from datasets_tools.audit import audit
    from noisebench.formats.face_set import FaceSet
    from noisebench.noise.manifest import Manifest

    base = FaceSet.open(data) if data is not None else None
    report = audit(Manifest.read(file), base, open_outliers(data, outliers))
    typer.echo(str(report))
    raise typer.Exit(0 if report.passed else 1)
