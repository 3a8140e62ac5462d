"""Task metrics: which direction is better, how much one loses against another, how people read them."""

HIGHER_IS_BETTER = frozenset({"f1", "accuracy", "auc", "r2", "bleu"})
LOWER_IS_BETTER = frozenset({"wape", "mae", "rmse", "mse", "mape", "smape", "altmape", "far", "mar", "alarm_share"})
SHARES = frozenset({"wape", "mape", "smape", "altmape", "far", "mar", "alarm_share"})


def higher_is_better(name):
    """Whether more of the metric is better; False for a name nobody registered."""
    return str(name).lower() in HIGHER_IS_BETTER


def metric_unit(name):
    """`%` for metrics that are shares (kept as fractions), else no unit."""
    return "%" if str(name).lower() in SHARES else ""


def relative_loss(name, reference, value):
    """How much worse `value` is than `reference`, relative to `reference`; negative: better.

    Args:
        name: the metric; it decides which direction is worse.
        reference: the metric of the float model.
        value: the metric of the quantized model.

    Raises:
        LookupError: the metric's direction is unknown, or the reference is zero: no relative loss exists.
    """
    name = str(name).lower()
    if name not in HIGHER_IS_BETTER | LOWER_IS_BETTER:
        raise LookupError(f"is a higher or a lower {name!r} better?")
    if reference == 0:
        raise LookupError("the float model's metric is 0, there is no relative loss")
    difference = reference - value if name in HIGHER_IS_BETTER else value - reference
    return difference / abs(reference)
