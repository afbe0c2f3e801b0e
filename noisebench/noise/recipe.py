"""Noise recipes: what part of a data set is mislabelled and how, as a typed and checked YAML file.

A recipe names a rate and a rule for each kind of noise. A further protocol is a further rule: a name in one of the
``Literal`` types below, and the function of that name in ``datasets_tools``.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from noisebench.config import Settings, explain, read_yaml, recipe_path
from noisebench.errors import FileError

NO_NOISE = Decimal(0)
_NAME_WITH_RATES = re.compile(r"clean|closed([0-9]+)|open([0-9]+)|c([0-9]+)o([0-9]+)")


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


Rate = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, le=1, decimal_places=6)]
"""A share of the images, exact to a millionth, 0 to 1."""


class ClosedSet(Settings):
    """Closed-set noise: images of known identities that bear the label of another known identity."""

    rate: Rate = Field(description="Share of the images whose label is changed.")
    targets: Literal["uniform"] = Field(
        default="uniform", description="Which wrong label: uniform, any other identity with the same odds."
    )


class OpenSet(Settings):
    """Open-set noise: images that show nobody of the data set, taken from an outlier set."""

    rate: Rate = Field(description="Share of the images that an outlier replaces.")
    labels: Literal["kept"] = Field(
        default="kept", description="Which label an outlier bears: kept, that of the image it replaces."
    )


class NoiseRecipe(Settings):
    """What is done to a data set's labels and images. The two kinds of noise never hit the same image.

    Raises:
        ValidationError: The rates add up to more than 1, or are not those that the name says.
    """

    name: str = Field(description="The stem of the recipe's file; it may encode the rates, see `rates_in_name`.")
    description: str = Field(default="", description="What the recipe is faithful to, for readers.")
    chosen_per: Literal["set", "class"] = Field(
        default="set",
        description="set: an exact share of the whole set; class: of each identity's images, rounded down.",
    )
    closed: ClosedSet = ClosedSet(rate=NO_NOISE)
    open: OpenSet = OpenSet(rate=NO_NOISE)

    @property
    def needs_outliers(self) -> bool:
        """Whether images are replaced by those of an outlier set."""
        return self.open.rate > 0

    @model_validator(mode="after")
    def _rates_fit_together(self) -> NoiseRecipe:
        total = self.closed.rate + self.open.rate
        if total > 1:
            raise ValueError(f"closed.rate {self.closed.rate} and open.rate {self.open.rate} add up to more than 1")
        return self

    @model_validator(mode="after")
    def _rates_agree_with_name(self) -> NoiseRecipe:
        expected = rates_in_name(self.name)
        for part, rate in zip(("closed", "open"), expected or (), strict=False):
            found = getattr(self, part).rate
            if found != rate:
                raise ValueError(
                    f"key '{part}.rate' is {found}, but the name '{self.name}' says {rate}: rename it or mend the rate"
                )
        return self


def rates_in_name(name: str) -> tuple[Decimal, Decimal] | None:
    """The closed-set and the open-set rate that a recipe's name encodes, in percent; None if it encodes none.

    ``clean``, ``closed30``, ``open20`` and ``c20o20`` encode rates; any other name is free.
    """
    match = _NAME_WITH_RATES.fullmatch(name)
    if match is None:
        return None
    closed_alone, open_alone, closed, open_ = match.groups()
    return Decimal(closed_alone or closed or 0) / 100, Decimal(open_alone or open_ or 0) / 100


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
    return recipe
