"""The rule that a user asks for, by its name and options."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from noisebench.cleaning.rules import AngleRule, CorrectionRule, GapRule, Rule, parse_angle
from noisebench.cleaning.sub_centres import SubCentreRule
from noisebench.config import explain
from noisebench.errors import UserError, did_you_mean

RULES: dict[str, type[Rule]] = {rule.name: rule for rule in (AngleRule, GapRule, CorrectionRule, SubCentreRule)}


def choose_rule(name: str, **options: Any) -> Rule:
    """The rule of that name.

    Args:
        name: One of `RULES`.
        **options: Fields of the rule, ``threshold`` as text with its unit; those that are None are left to it.

    Raises:
        UserError: There is no such rule, or it has no such option or value.
    """
    if name not in RULES:
        raise UserError(f"--rule '{name}' is unknown: {did_you_mean(name, RULES)}")
    rule = RULES[name]
    given = {option: value for option, value in options.items() if value is not None}
    for option in given:
        if option not in rule.model_fields:
            theirs = sorted(other.name for other in RULES.values() if option in other.model_fields)
            raise UserError(f"--{option} does not go with rule '{name}', but with {', '.join(theirs)}")
    if "threshold" in given:
        given["threshold"] = parse_angle(given["threshold"])
    try:
        return rule(**given)
    except ValidationError as error:
        raise UserError(f"rule '{name}': {explain(error, rule)}") from error
