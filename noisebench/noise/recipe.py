"""Noise recipes: what part of a data set is mislabelled and how, as a typed and checked YAML file.

A recipe names a rate and a rule for each kind of noise. A further protocol is a further rule: a name in one of the
``Literal`` types below, and the function of that name in ``datasets_tools``; or it comes with an installed package, see
`noisebench.noise.protocols`.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema, model_validator

from noisebench.config import Settings, explain, read_yaml, recipe_path
from noisebench.errors import FileError, UserError
from noisebench.noise.protocols import ChosenProtocol

NO_NOISE = Decimal(0)
_NAME_WITH_RATES = re.compile(
    "clean"
    "|(?:boundaryface_)?(?:(?:closed|successor|permutation|hard|longtail)(?P<closed>[0-9]+)|open(?P<open>[0-9]+)(?:_random)?)"
    "|(?:(?:boundaryface_)?c|m|batch)(?P<first>[0-9]+)o(?P<second>[0-9]+)"
    "|noiseface(?P<both>[0-9]+)"
)


def _exact(value: Any) -> Decimal:
    """The decimal number that is written in the file: 0.29 is 29 %, though no binary fraction is."""
    try:
        number = value if isinstance(value, int | float | str | Decimal) else "nan"
        rate = Decimal(str(number)).normalize()  # so that 0.30 and 0.3 are one recipe
    except InvalidOperation:
        rate = Decimal("nan")
    if not rate.is_finite():
        raise ValueError("expected a number from 0 to 1, such as 0.3")
    return rate


Rate = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(ge=0, le=1, decimal_places=6),
    WithJsonSchema({"type": ["number", "string"], "minimum": 0, "maximum": 1}),
]
"""A share of the images, exact to a millionth, 0 to 1."""


class ClosedSet(Settings):
    """Closed-set noise: images of known identities that bear the label of another known identity."""

    rate: Rate = Field(description="Share of the images whose label is changed.")
    targets: Literal["uniform", "successor", "permutation", "hard"] = Field(
        default="uniform",
        description="Which wrong label: uniform, any other identity with the same odds; successor, the next one;"
        " permutation, that of another mislabelled image; hard, one of the most similar identities.",
    )
    neighbours: int | None = Field(
        default=None, ge=1, le=1000, description="hard: how many of the most similar identities to draw from."
    )

    @model_validator(mode="after")
    def _neighbours_are_of_hard_flips(self) -> ClosedSet:
        if (self.targets == "hard") != (self.neighbours is not None):
            raise ValueError("targets 'hard' goes with a number of 'neighbours' to draw from, and no other does")
        return self


class OpenSet(Settings):
    """Open-set noise: images that show nobody of the data set, taken from an outlier set."""

    rate: Rate = Field(description="Share of the images that an outlier replaces.")
    labels: Literal["kept", "random", "flipped"] = Field(
        default="kept",
        description="Which label an outlier bears: kept, that of the image it replaces; random, any identity's with the"
        " same odds; flipped, the wrong one that closed.targets gives to the image it replaces.",
    )
    place: Literal["any", "tail"] = Field(
        default="any",
        description="Which images are replaced: any, with the same odds; tail, with chosen_per class, the last of each"
        " identity in record order that are not closed-set noise.",
    )
    reuse: bool = Field(
        default=False,
        description="Whether outliers are used again, in a new order, when all have been; else too few are an error.",
    )
    rendering: Literal["aligned", "unaligned"] = Field(
        default="aligned",
        description="aligned: outlier images have the size of the data set's; unaligned: they have any size and are"
        " resized to it, whatever their shape.",
    )


class PerBatch(Settings):
    """Noise drawn anew for every batch, as the released code of RobustFace does: no property of a sample.

    The places in the batch decide: the images in the first ones are replaced by outliers and keep their labels, those
    in the next ones bear the label after their own, the last class's that of class 0.
    """

    closed: Rate = Field(description="Share of each batch that bears the label after its own, rounded down.")
    open: Rate = Field(description="Share of each batch that outliers replace, rounded down.")
    batch_size: int | None = Field(
        default=None,
        ge=1,
        description="Images in the batches that noise is counted in: a divisor of the training's batch, such as one"
        " process's part of it; default: the training's whole batch.",
    )

    @model_validator(mode="after")
    def _rates_fit_together(self) -> PerBatch:
        if not 0 < self.closed + self.open <= 1:
            raise ValueError("expected closed and open to add up to more than 0 and at most 1")
        return self

    def __str__(self) -> str:
        batch = f"batch of {self.batch_size}" if self.batch_size else "batch"
        closed, open_ = (f"{(100 * rate).normalize():f} %" for rate in (self.closed, self.open))
        rates = f"{closed} closed-set and {open_} open-set of every {batch}, rounded down"
        return f"{rates} (noise by batch: not a property of the sample)"


class IdentityNoise(Settings):
    """Noise that hits whole identities: closed-set noise, as every image it changes shows somebody known.

    Raises:
        ValidationError: The shares add up to more than 1.
    """

    split: Rate = Field(default=NO_NOISE, description="Share of the identities that become several, with new labels.")
    parts: int = Field(default=2, ge=2, le=100, description="How many identities a split one becomes.")
    merged: Rate = Field(default=NO_NOISE, description="Share of the identities that bear another one's label.")

    @property
    def any(self) -> bool:
        """Whether any identity is split or merged."""
        return self.split + self.merged > 0

    @model_validator(mode="after")
    def _shares_fit_together(self) -> IdentityNoise:
        if self.split + self.merged > 1:
            raise ValueError(f"split {self.split} and merged {self.merged} add up to more than 1")
        return self


class NoiseRecipe(Settings):
    """What is done to a data set's labels and images. The two kinds of noise never hit the same image.

    Raises:
        ValidationError: The rates add up to more than 1, or are not those that the name says.
    """

    name: str = Field(description="The stem of the recipe's file; it may encode the rates, see `rates_in_name`.")
    description: str = Field(default="", description="What the recipe is faithful to, for readers.")
    chosen_per: Literal["set", "class", "longtail"] = Field(
        default="set",
        description="set: an exact share of the whole set; class: of each identity's images, rounded down; longtail: an"
        " exact share of the whole set, as the same number of images of every identity, so that rare ones suffer most.",
    )
    at_most: Rate = Field(
        default=Decimal(1), description="longtail: the share of an identity's images that noise may hit, rounded down."
    )
    closed: ClosedSet = ClosedSet(rate=NO_NOISE)
    open: OpenSet = OpenSet(rate=NO_NOISE)
    identities: IdentityNoise = IdentityNoise()
    per_batch: PerBatch | None = Field(default=None, description="Noise by batch; excludes every other noise.")
    protocol: ChosenProtocol | None = Field(
        default=None, description="Noise by a protocol of an installed package; excludes every other noise."
    )

    @property
    def needs_outliers(self) -> bool:
        """Whether images are replaced by those of an outlier set."""
        if self.protocol is not None:
            return self.protocol.create().needs_outliers
        return self.open.rate > 0 or (self.per_batch is not None and self.per_batch.open > 0)

    def check_is_by_sample(self) -> None:
        """Make sure that the noise is a property of the images, so that a data set or a list can hold it.

        Raises:
            UserError: It is drawn anew for every batch.
        """
        if self.per_batch is not None:
            raise UserError(
                f"the noise '{self.name}' is drawn anew for every batch, so no data set or list can hold it"
                " (train with 'noisebench bench', or choose a recipe of noise by sample, such as m15o05)"
            )

    @model_validator(mode="after")
    def _rates_fit_together(self) -> NoiseRecipe:
        total = self.closed.rate + self.open.rate
        if total > 1:
            raise ValueError(f"closed.rate {self.closed.rate} and open.rate {self.open.rate} add up to more than 1")
        return self

    @model_validator(mode="after")
    def _some_noise_stands_alone(self) -> NoiseRecipe:
        for alone, what in (("per_batch", "noise by batch"), ("protocol", "noise by a protocol")):
            if getattr(self, alone) is None:
                continue
            for key, field in NoiseRecipe.model_fields.items():
                if key not in ("name", "description", alone) and getattr(self, key) != field.get_default():
                    raise ValueError(f"key '{key}' does not apply to {what}: remove it, or key '{alone}'")
        return self

    @model_validator(mode="after")
    def _settings_fit_together(self) -> NoiseRecipe:
        if self.at_most != 1 and self.chosen_per != "longtail":
            raise ValueError(f"key 'at_most' is {self.at_most}, but only chosen_per 'longtail' heeds it")
        if self.identities != IdentityNoise() and self.closed.rate + self.open.rate:
            raise ValueError("identities are split and merged without other noise: leave closed and open out")
        return self

    @model_validator(mode="after")
    def _tail_is_that_of_a_class(self) -> NoiseRecipe:
        if self.open.place == "tail" and self.chosen_per != "class":
            raise ValueError(
                f"open.place 'tail' goes with chosen_per 'class', the end of each, not '{self.chosen_per}'"
            )
        return self

    @model_validator(mode="after")
    def _rates_agree_with_name(self) -> NoiseRecipe:
        expected = rates_in_name(self.name)
        if expected is None:
            return self
        if self.protocol is not None:
            raise ValueError(f"the name '{self.name}' says rates, which a protocol has none of: rename it")
        if self.name.startswith("batch") != (self.per_batch is not None):
            says, key = ("does not say", "is given") if self.per_batch else ("says", "is missing")
            raise ValueError(f"the name '{self.name}' {says} noise by batch, but key 'per_batch' {key}: rename it")
        if self.per_batch is None:
            rates = {"closed.rate": self.closed.rate, "open.rate": self.open.rate}
        else:
            rates = {"per_batch.closed": self.per_batch.closed, "per_batch.open": self.per_batch.open}
        for (key, found), rate in zip(rates.items(), expected, strict=True):
            if found != rate:
                raise ValueError(
                    f"key '{key}' is {found}, but the name '{self.name}' says {rate}: rename it or mend the rate"
                )
        return self


def rates_in_name(name: str) -> tuple[Decimal, Decimal] | None:
    """The closed-set and the open-set rate that a recipe's name encodes, in percent; None if it encodes none.

    ``clean``, ``closed30``, ``open20`` and ``c20o20`` encode rates, as do ``hard20``, ``longtail30``, ``m15o05``,
    ``batch15o05`` and ``boundaryface_c20o20``; ``noiseface40`` is 20 % of each. Any other name is free.
    """
    match = _NAME_WITH_RATES.fullmatch(name)
    if match is None:
        return None
    percent = {part: Decimal(digits or 0) for part, digits in match.groupdict().items()}
    half = percent["both"] / 2
    return (percent["closed"] + percent["first"] + half) / 100, (percent["open"] + percent["second"] + half) / 100


def load_recipe(name: str) -> NoiseRecipe:
    """The noise recipe of this name, or in the YAML file of this path.

    Raises:
        UserError: There is no such recipe; the nearest name is given.
        FileError: A key or value is wrong, or the rates disagree with the file's name.
    """
    path = recipe_path("noise", name)
    content = read_yaml(path)
    try:
        recipe = NoiseRecipe.model_validate({"name": path.stem, **content})
    except ValidationError as error:
        raise FileError(path, explain(error, NoiseRecipe)) from error
    if recipe.name != path.stem:
        raise FileError(path, f"key 'name' is '{recipe.name}', expected the file's own, '{path.stem}'")
    if recipe.protocol is None:
        return recipe
    try:
        return recipe.model_copy(update={"protocol": recipe.protocol.resolved()})
    except UserError as error:
        raise FileError(path, f"key 'protocol': {error}") from error
