"""What the keys of a scenario must fulfil together; a single key is checked where it is read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pipeline.injection_settings import KINDS
from pipeline.toml_table import Place

if TYPE_CHECKING:
    from pipeline.scenario import Anomaly, Column, Scenario

RESERVED = ("stream", "time", "part", "segment", "observed", "rows")


def check_scenario(scenario: Scenario, place: Place) -> None:
    """Raises a UserError naming the key for the first rule that is broken."""
    for rule in (_data, _columns, _inject, _split, _windows, _anomaly, _normalize, _forecast, _model, state_width):
        rule(scenario, place)


def _data(scenario: Scenario, place: Place) -> None:
    data, place = scenario.data, place.at("data")
    if (data.set is None) == (data.path is None):
        raise place.error("expected exactly one of the keys set (a registered data set) and path (your own files)")
    if (data.set == "fleet") != (scenario.fleet is not None):
        raise place.at("set").error('set = "fleet" goes with the section [fleet], which says what to simulate')
    if data.max_gap_seconds < data.step_seconds:
        raise place.at("max_gap").error(
            f"expected at least one step ({data.step_seconds:g} s), got {data.max_gap_seconds:g} s"
        )


def _columns(scenario: Scenario, place: Place) -> None:
    place = place.at("columns")
    name, count = Counter(column.name for column in scenario.columns).most_common(1)[0]
    if count > 1:
        raise place.error(f'the column "{name}" is there {count} times; give each column once')
    for column in scenario.columns:
        _column(column, scenario, Place(place.file, f'{place.key}["{column.name}"]'))
    if not any(column.role == "input" for column in scenario.columns):
        raise place.error('expected at least one column with role = "input" that is read from the files')
    kinds = [column.calendar is not None for column in scenario.inputs]
    if kinds != sorted(kinds):
        raise place.error("expected the calendar columns after all columns that are read; move them to the end")


def _column(column: Column, scenario: Scenario, place: Place) -> None:
    if column.name in RESERVED:
        raise place.at("name").error(f"the names {', '.join(RESERVED)} are taken by the dataset itself")
    if column.name in (scenario.data.time, scenario.data.stream):
        raise place.at("name").error("is already the time or the stream column of [data]")
    if column.minimum is not None and column.maximum is not None and column.minimum >= column.maximum:
        raise place.at("min").error(f"expected less than max = {column.maximum:g}, got {column.minimum:g}")
    if column.cycles and column.calendar is None:
        raise place.at("cycles").error("belongs to calendar columns only; remove it or add the key calendar")
    if column.ahead_seconds and column.role != "known":
        raise place.at("ahead").error('belongs to columns known in advance only; remove it or say role = "known"')
    if column.ahead_seconds < 0 and column.calendar is None:
        raise place.at("ahead").error("expected above 0 of a column that is read; only a calendar is fed as it was")
    if column.ahead_seconds % scenario.data.step_seconds:
        raise place.at("ahead").error(f"expected whole steps of {scenario.data.step_seconds:g} s")
    if column.calendar is not None and not column.cycles:
        raise place.at("cycles").error("missing; a calendar column is fed as sine and cosine of the periods named here")
    if column.calendar is not None and column.role == "label":
        raise place.at("role").error("a calendar column is computed from the time and cannot be a label")
    if column.calendar is not None and (column.header is not None or column.optional):
        raise place.at("calendar").error("a calendar column is not in the files; remove header and optional")
    if column.kinds and column.role != "label":
        raise place.at("kinds").error("names the values of a label; remove it or set role = \"label\"")
    if column.calendar is not None and (column.minimum, column.maximum) != (None, None):
        raise place.at("calendar").error("a calendar column has no range; remove min and max")


def _inject(scenario: Scenario, place: Place) -> None:
    """The faults written into the test part, and the label that takes their codes."""
    if scenario.inject is None:
        return
    place = place.at("inject")
    if scenario.task != "anomaly":
        raise place.error('belongs to task = "anomaly" only; remove the section')
    measured = [column.name for column in scenario.measured]
    if scenario.inject.column not in measured:
        raise place.at("column").error(f"expected a measured column, one of: {', '.join(measured)}")
    if [column.kinds for column in scenario.labels] != [KINDS] or not scenario.labels[0].optional:
        kinds = ", ".join(f'"{kind}"' for kind in KINDS)
        raise place.error(
            f'expected exactly one column with role = "label", optional = true and kinds = [{kinds}]: it says what was'
            " injected"
        )


def _split(scenario: Scenario, place: Place) -> None:
    split, place = scenario.split, place.at("split")
    if split.by == "time" and not split.validation < split.test:
        raise place.at("test").error(
            "expected a time after validation; the parts follow each other: train, validation, test"
        )
    if split.by == "stream" and not split.validation + split.test < 1:
        raise place.at("test").error("expected validation + test to leave a share for training, that is less than 1")
    if split.by == "rows" and not split.validation < split.train:
        raise place.at("validation").error(
            f"expected fewer rows than train = {split.train}, whose last rows they are, got {split.validation}"
        )


def _windows(scenario: Scenario, place: Place) -> None:
    windows = scenario.windows
    if windows.warmup >= windows.length:
        raise place.at("windows.warmup").error(
            f"expected fewer steps than length = {windows.length}, got {windows.warmup}"
        )


def _normalize(scenario: Scenario, place: Place) -> None:
    normalize, place = scenario.normalize, place.at("normalize")
    if (normalize.by == "stream") != (normalize.rows is not None):
        raise place.at("rows").error('is required with by = "stream" and allowed only there')
    if scenario.split.by == "rows" and (normalize.rows or 0) > scenario.split.train:
        raise place.at("rows").error(
            f"expected at most split.train = {scenario.split.train}, got {normalize.rows};"
            " normalizing by test rows would leak them"
        )
    calendars = [column.name for column in scenario.columns if column.calendar is not None]
    if normalize.by == "stream" and (scenario.task != "anomaly" or calendars):
        raise place.at("by").error(
            'by = "stream" (mean and spread learned on the device) goes with task = "anomaly" and without calendar'
            ' columns; expected "dataset"'
        )


def _forecast(scenario: Scenario, place: Place) -> None:
    forecast, place = scenario.forecast, place.at("forecast")
    if forecast.first_lead > forecast.last_lead:
        raise place.at("leads").error(
            f"expected [first, last] with first <= last, got [{forecast.first_lead}, {forecast.last_lead}]"
        )
    if scenario.task == "anomaly" and forecast.first_lead != forecast.last_lead:
        raise place.at("leads").error(
            f"an anomaly is scored by one lead: expected [{forecast.last_lead}, {forecast.last_lead}]"
        )
    _inputs(scenario, place)
    possible = [column.name for column in scenario.columns if column.role == "input"]
    if not forecast.targets:
        raise place.at("targets").error(f"missing; name one or more of: {', '.join(possible)}")
    for target in forecast.targets:
        if target not in possible:
            raise place.at("targets").error(
                f'"{target}" is not a measured column with role = "input"; allowed: {", ".join(possible)}'
            )
    _lags(scenario, place.at("lags"))
    _quantiles(scenario, place.at("quantiles"))


def _lags(scenario: Scenario, place: Place) -> None:
    forecast, step = scenario.forecast, scenario.data.step_seconds
    if forecast.lags_seconds and scenario.task != "forecast":
        raise place.error('belongs to task = "forecast" only; remove it')
    for lag in forecast.lags_seconds:
        if lag % step or lag < forecast.last_lead * step:
            raise place.error(
                f"expected whole steps of {step:g} s and at least the last lead, {forecast.last_lead * step:g} s, so"
                f" that the reading is there when it is fed; got {lag:g} s"
            )
    if forecast.level and (not forecast.lags_seconds or len(forecast.targets) > 1):
        raise Place(place.file, "forecast.level").error("goes with the key lags and exactly one target")
    if forecast.usual is not None and not forecast.level:
        raise Place(place.file, "forecast.usual").error("goes with level = true")
    needed = scenario.lag_memory + scenario.windows.warmup
    if forecast.lags_seconds and scenario.windows.length <= needed:
        raise place.error(
            f"expected windows.length above {needed}, the steps that lags and warm-up take, got"
            f" {scenario.windows.length}"
        )


def _quantiles(scenario: Scenario, place: Place) -> None:
    quantiles = scenario.forecast.quantiles
    if quantiles and scenario.task != "forecast":
        raise place.error('belongs to task = "forecast" only; remove it')
    if quantiles and (0.5 not in quantiles or len(quantiles) < 3 or list(quantiles) != sorted(set(quantiles))):
        raise place.error(f"expected rising quantiles around 0.5 such as [0.1, 0.5, 0.9], got {list(quantiles)}")
    if quantiles and not quantiles[0] < 0.5 < quantiles[-1]:
        raise place.error(f"expected quantiles on both sides of 0.5, got {list(quantiles)}")
    if quantiles and scenario.model.loss != "absolute":
        raise place.error('expected none with model.loss = "geometric", which does not learn the 0.5 quantile')


def _inputs(scenario: Scenario, place: Place) -> None:
    """What the network reads; a lead of 0 is no forecast where that holds what is to be forecast."""
    forecast, measured = scenario.forecast, [column.name for column in scenario.measured]
    for name in forecast.inputs:
        if name not in measured:
            raise place.at("inputs").error(f'"{name}" is not a measured column; allowed: {", ".join(measured)}')
    if forecast.inputs and forecast.lags_seconds:
        raise place.at("lags").error("lags feed the targets, forecast.inputs keeps them out; remove one of the two")
    read = set(forecast.inputs or measured)
    if forecast.first_lead == 0 and (scenario.task != "anomaly" or read & set(forecast.targets)):
        raise place.at("leads").error(
            'lead 0 goes with task = "anomaly" and forecast.inputs that hold no target; expected at least 1'
        )


def _anomaly(scenario: Scenario, place: Place) -> None:
    if scenario.task == "anomaly" and scenario.anomaly is None:
        raise place.at("anomaly").error('missing; task = "anomaly" needs the keys ewma and, say, false_alarm_share')
    if scenario.task != "anomaly" and scenario.anomaly is not None:
        raise place.at("anomaly").error('belongs to task = "anomaly" only; remove the section')
    if scenario.anomaly is not None:
        _threshold(scenario.anomaly, scenario.normalize.rows or 0, place.at("anomaly"))


def _threshold(anomaly: Anomaly, readings: int, place: Place) -> None:
    """readings: from which each machine's mean and spread are learned."""
    rates = sum(rate is not None for rate in (anomaly.false_alarm_share, anomaly.false_alarms_per_hour))
    if rates > 1 or (rates == 0 and anomaly.own_limit is None):
        raise place.error(
            "expected one of the keys false_alarm_share (of the steps) and false_alarms_per_hour, or own_limit"
        )
    unscored = readings + anomaly.settle + (anomaly.recentre or 0)
    if (anomaly.own_limit or 0) > unscored:
        raise place.at("own_limit").error(
            f"expected at most the {unscored} steps before there is a score (normalize.rows, settle and recentre), got"
            f" {anomaly.own_limit}"
        )


def _model(scenario: Scenario, place: Place) -> None:
    cell, anomaly = scenario.model.cell, scenario.anomaly
    if scenario.model.auto is not None and cell != "auto":
        raise place.at("model.auto").error(f'goes with cell = "auto" only, got cell = "{cell}"; remove it')
    if scenario.model.trust and (scenario.model.loss != "geometric" or anomaly is None or anomaly.recentre is None):
        raise place.at("model.trust").error('goes with model.loss = "geometric" and anomaly.recentre; remove it')
    if scenario.model.disruptions:
        _disruptions(scenario, place.at("model.disruptions"))


def _disruptions(scenario: Scenario, place: Place) -> None:
    if scenario.task != "forecast":
        raise place.error('belongs to task = "forecast" only; remove it')
    for column in scenario.measured:
        if column.name in scenario.forecast.targets and (column.minimum is None or column.minimum < 0):
            raise place.error(
                f'multiplies the targets, and "{column.name}" may be below 0; expected min = 0 of it, or remove the key'
            )


def state_width(scenario: Scenario, place: Place) -> None:
    """Also of a translation."""
    quantization, place = scenario.quantization, place.at("quantization.state_dtype")
    if quantization.state_dtype is not None and quantization.activations != "int8":
        raise place.error(
            f'goes with activations = "int8" only, got activations = "{quantization.activations}"; remove state_dtype'
        )
