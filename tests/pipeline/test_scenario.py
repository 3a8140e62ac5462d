"""Scenario files: the shipped ones load; every mistake is one line naming file, key and what is allowed."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline import UserError, load_scenario
from pipeline.__main__ import main

SCENARIOS = Path(__file__).parents[2] / "scenarios"


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_scenarios_load(path):
    assert load_scenario(path).name == path.stem


def test_demand():
    demand = load_scenario(SCENARIOS / "demand.toml")
    assert [column.name for column in demand.inputs][:2] == ["count", "tmin"]
    later = ["tmin_tomorrow", "tmax_tomorrow", "pn_tomorrow"]
    assert [column.name for column in demand.measured] == ["count", "tmin", "tmax", "pn", *later]
    assert (demand.lag_steps, demand.lag_memory, demand.steps_ahead) == ((24, 168), 167 + 7 * 168, 24)
    assert demand.split.test == datetime(2018, 9, 1, tzinfo=UTC).timestamp()
    assert (demand.data.step_seconds, demand.data.max_gap_seconds) == (3600.0, 3600.0)


def test_skab_scores_every_measured_input():
    skab = load_scenario(SCENARIOS / "skab.toml")
    assert skab.forecast.targets == tuple(column.name for column in skab.inputs)
    assert [column.name for column in skab.labels] == ["anomaly"]
    assert (skab.split.train, skab.split.validation, skab.normalize.rows) == (400, 80, 400)


def test_defaults(job):
    scenario = job.scenario()
    assert scenario.data.max_gap_seconds == 10.0
    assert (scenario.data.delimiter, scenario.normalize.by, scenario.budgets) == (",", "dataset", {})
    assert (scenario.forecast.first_lead, scenario.forecast.last_lead) == (1, 2)


def test_int16_states_beside_int8(job):
    settings = job.scenario(('activations = "int8"', 'activations = "int8"\nstate_dtype = "int16"')).quantization
    assert (settings.activations, settings.state_dtype) == ("int8", "int16")
    assert job.scenario().quantization.state_dtype is None


def test_calendar_columns_are_known_in_advance(job):
    scenario = job.scenario(('name = "load"', 'name = "load"\ncalendar = "hour_of_day"\ncycles = [24]'))
    assert scenario.columns[1].role == "known" and scenario.columns[1].cycles == (24.0,)
    assert [column.name for column in scenario.measured] == ["speed"]


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("seed = 1", "sead = 1", 'sead: unknown key; did you mean "seed"? allowed: task, seed, data'),
        ("seed = 1", "", "seed: missing; required here: task, seed"),
        ("seed = 1", 'seed = "one"', 'seed: expected a whole number from 0 to 2147483647, got "one"'),
        ("seed = 1", "seed = true", "seed: expected a whole number from 0 to 2147483647, got True"),
        ('task = "forecast"', 'task = "forcast"', 'task: expected one of forecast, anomaly, translate, got "forcast"'),
        ('task = "forecast"', 'task = "anomaly"', "anomaly: missing"),
        ('path = "rows"', "", "data: expected exactly one of the keys set"),
        ('path = "rows"', 'path = "rows"\nset = "skab"', "data: expected exactly one of the keys set"),
        ('path = "rows"', 'set = "skap"', 'data.set: expected one of bikeshare, nyc_taxi,'),
        ('step = "1s"', "step = 1", "data.step: expected a duration"),
        ('step = "1s"', 'step = "0s"', "data.step: expected a duration"),
        ('step = "1s"', 'step = "1s"\nmax_gap = "500ms"', "data.max_gap: expected at least one step (1 s)"),
        ("max_rejected = 0.5", "max_rejected = 2", "data.max_rejected: expected a number from 0 to 1, got 2"),
        ("max_rejected = 0.5", "max_rejected = nan", "data.max_rejected: expected a number from 0"),
        ('stream = "file"', 'stream = "file"\ndelimiter = ";;"', "data.delimiter: expected one character"),
        ("min = -50.0", "min = 60.0", 'columns["speed"].min: expected less than max = 50, got 60'),
        ("min = -50.0", "lowest = -50.0", 'columns["speed"].lowest: unknown key'),
        ('unit = "N"', "", 'columns["load"].unit: missing; required here: name, unit'),
        ('name = "load"', 'name = "speed"', 'columns: the column "speed" is there 2 times'),
        ('name = "load"', 'name = "part"', 'columns["part"].name: the names stream, time, part'),
        ('name = "load"', 'name = "load"\ncycles = [24]', 'columns["load"].cycles: belongs to calendar'),
        ('name = "load"', 'name = "load"\ncalendar = "hour_of_day"', 'columns["load"].cycles: missing'),
        (
            '[[columns]]\nname = "speed"',
            '[[columns]]\nname = "hour"\nunit = "h"\ncalendar = "hour_of_day"\ncycles = [24]\n'
            '[[columns]]\nname = "speed"',
            "columns: expected the calendar columns after",
        ),
        ('role = "label"', 'role = "target"', 'columns["fault"].role: expected one of input'),
        ('by = "rows"', 'by = "row"', 'split.by: expected one of time, rows, stream, got "row"; did'),
        ('by = "rows"', 'by = "time"', "split.train: unknown key; allowed: by, validation, test"),
        ("validation = 15", "validation = 45", "split.validation: expected fewer rows than train = 45"),
        ("warmup = 2", "warmup = 8", "windows.warmup: expected fewer steps than length = 8, got 8"),
        ("stride = 3", "stride = 0", "windows.stride: expected a whole number of at least 1, got 0"),
        ("leads = [1, 2]", "leads = [-1, 2]", "forecast.leads: expected a whole number of at least 0, got -1"),
        ("leads = [1, 2]", "leads = [0, 2]", "forecast.leads: lead 0 goes with task"),
        ("leads = [1, 2]", 'leads = [1, 2]\ninputs = ["mood"]', 'forecast.inputs: "mood" is not a measured column'),
        ("leads = [1, 2]", "leads = [3, 2]", "forecast.leads: expected [first, last] with first <= last"),
        ("leads = [1, 2]", "leads = [1]", "forecast.leads: expected a list of 2 values, got [1]"),
        ('targets = ["speed"]', 'targets = ["fault"]', 'forecast.targets: "fault" is not a measured column'),
        ('targets = ["speed"]', "", "forecast.targets: missing; name one or more of: speed, load"),
        ("leads = [1, 2]", 'leads = [1, 2]\nlags = ["1s"]', "forecast.lags: expected whole steps of 1 s and at least"),
        ("leads = [1, 2]", 'leads = [1, 2]\nlags = ["2500ms"]', "forecast.lags: expected whole steps of 1 s"),
        ("leads = [1, 2]", 'leads = [1, 2]\nlags = ["7s"]', "forecast.lags: expected windows.length above 8, the"),
        ("leads = [1, 2]", "leads = [1, 2]\nlevel = true", "forecast.level: goes with the key lags and exactly one"),
        ("leads = [1, 2]", "leads = [1, 2]\nusual = 0.3", "forecast.usual: goes with level = true"),
        ("units =", "disruptions = 1.5\nunits =", "model.disruptions: expected a number from 0 to 1, got 1.5"),
        ("units =", "disruptions = 0.5\nunits =", 'model.disruptions: multiplies the targets, and "speed" may'),
        ("leads = [1, 2]", "leads = [1, 2]\nquantiles = [0.1, 0.9]", "forecast.quantiles: expected rising quantiles"),
        ("leads = [1, 2]", "leads = [1, 2]\nquantiles = [0.1, 0.2, 0.5]", "forecast.quantiles: expected quantiles"),
        ("leads = [1, 2]", "leads = [1, 2]\nquantiles = [0.9, 0.5, 0.1]", "forecast.quantiles: expected rising"),
        ("leads = [1, 2]", "leads = [1, 2]\nquantiles = [0.0, 0.5]", "forecast.quantiles: expected a number"),
        ('unit = "N"', 'unit = "N"\nahead = "2s"', 'columns["load"].ahead: belongs to columns known in advance only'),
        ('unit = "N"', 'unit = "N"\nrole = "known"\nahead = "1500ms"', 'columns["load"].ahead: expected whole'),
        ('unit = "N"', 'unit = "N"\nrole = "known"\nahead = "-2s"', 'columns["load"].ahead: expected above 0'),
        ('unit = "N"', 'unit = "N"\nrole = "known"\nahead = "--2s"', 'columns["load"].ahead: expected a duration'),
        ("[model]", '[[published]]\nname = "a"\nvalue = 0.1\n[model]', 'published["a"].source: missing'),
        ('cell = "gru"', 'cell = "gnu"', "model.cell: expected one of gru"),
        ("[model]", "[model]\nlearning_rat = 1", 'model.learning_rat: unknown key; did you mean "learning'),
        ('activations = "int8"', 'activations = "int4"', 'quantization.activations: expected one of auto, int8, int16'),
        ('state = "external"', 'state = "outside"', "quantization.state: expected one of external, internal"),
        (
            'activations = "int8"',
            'activations = "int16"\nstate_dtype = "int16"',
            'quantization.state_dtype: goes with activations = "int8" only, got activations = "int16"; remove',
        ),
        (
            'activations = "int8"',
            'activations = "auto"\nstate_dtype = "int8"',
            'quantization.state_dtype: goes with activations = "int8" only, got activations = "auto"; remove',
        ),
        ("[model]", "[budgets]\nbyte = 1\n[model]", 'budgets.byte: unknown key; did you mean "bytes"?'),
        ("[model]", "[budgets]\nbytes = -1\n[model]", "budgets.bytes: expected a number of at least 0"),
        ("[model]", '[normalize]\nby = "stream"\n[model]', "normalize.rows: is required with by"),
        ("[model]", '[normalize]\nby = "stream"\nrows = 46\n[model]', "normalize.rows: expected at most"),
        ("[model]", '[normalize]\nby = "stream"\nrows = 20\n[model]', 'normalize.by: by = "stream"'),
        (
            'task = "forecast"',
            'task = "anomaly"\nanomaly = {ewma = 0.1, false_alarm_share = 0.1}',
            "forecast.leads: an anomaly is scored by one lead",
        ),
        (
            'task = "forecast"',
            'task = "anomaly"\nanomaly = {ewma = 0.1}',
            "anomaly: expected one of the keys false_alarm_share (of the steps) and false_alarms_per_hour, or",
        ),
        (
            'task = "forecast"',
            'task = "anomaly"\nanomaly = {ewma = 0.1, false_alarm_share = 0.1, false_alarms_per_hour = 1.0}',
            "anomaly: expected one of the keys false_alarm_share (of the steps) and false_alarms_per_hour, or",
        ),
        (
            'task = "forecast"',
            'task = "anomaly"\nanomaly = {ewma = 0.1, own_limit = 40, recentre = 30, settle = 9}',
            "anomaly.own_limit: expected at most the 39 steps before there is a score (normalize.rows, settle and"
            " recentre), got 40",
        ),
        (
            'task = "forecast"',
            'task = "anomaly"\nanomaly = {ewma = 0.1, false_alarm_share = 0.1, recentre = 0}',
            "anomaly.recentre: expected a whole number",
        ),
        ('role = "label"', 'role = "input"\nkinds = ["leak"]', 'columns["fault"].kinds: names the values of a label'),
        ("[model]", "[model", "is not valid TOML"),
        ("[model]", "[[model]]", "model: expected a table of keys and values"),
    ],
)  # fmt: skip
def test_mistake_is_one_line(job, old, new, message):
    with pytest.raises(UserError) as error:
        job.scenario((old, new))
    assert str(error.value).startswith(f"{job.scenario_file}: {message}")
    assert "\n" not in str(error.value)


def test_quantiles_need_the_loss_of_the_median(job):
    three = ("leads = [1, 2]", "leads = [1, 2]\nquantiles = [0.1, 0.5, 0.9]")
    geometric = ("units =", 'loss = "geometric"\nunits =')
    assert job.scenario(three).model.loss == "absolute" and job.scenario(geometric).model.loss == "geometric"
    with pytest.raises(UserError, match='forecast.quantiles: expected none with model.loss = "geometric"'):
        job.scenario(three, geometric)


def test_disruptions_are_of_forecasts_of_what_is_never_below_zero(job):
    half, counts = ("units =", "disruptions = 0.5\nunits ="), ("min = -50.0", "min = 0.0")
    assert job.scenario(half, counts).model.disruptions == 0.5 and job.scenario().model.disruptions == 0
    detector = ('task = "forecast"', 'task = "anomaly"'), ("leads = [1, 2]", "leads = [1, 1]")
    section = ("[forecast]", "[anomaly]\newma = 0.1\nfalse_alarm_share = 0.1\n[forecast]")
    with pytest.raises(UserError, match='model.disruptions: belongs to task = "forecast" only'):
        job.scenario(half, counts, *detector, section)


def test_trust_needs_a_likelihood_and_a_learned_centre(job):
    """A scenario that forecasts, one whose loss is none, and one whose level nothing takes out."""
    trust, geometric = ("units =", "trust = true\nunits ="), ("units =", 'loss = "geometric"\nunits =')
    task = ('task = "forecast"', 'task = "anomaly"')
    section = ("[model]", "[anomaly]\newma = 0.1\nfalse_alarm_share = 0.01\nrecentre = 9\n[model]")
    leads = ("leads = [1, 2]", "leads = [1, 1]")
    assert job.scenario(trust, geometric, task, section, leads).model.trust
    assert not job.scenario(geometric).model.trust
    without = (section[0], section[1].replace("recentre = 9\n", ""))
    for changes in ((trust, geometric), (trust, task, section, leads), (trust, geometric, task, without, leads)):
        with pytest.raises(UserError, match='model.trust: goes with model.loss = "geometric" and') as error:
            job.scenario(*changes)
        assert "\n" not in str(error.value)


def test_split_by_time_must_be_in_order(job):
    rows = 'by = "rows"\ntrain = 45\nvalidation = 15'
    times = 'by = "time"\nvalidation = {}\ntest = {}'
    split = job.scenario((rows, times.format("2024-05-01T10:00:30", '"2024-05-01T12:01:00+02:00"'))).split
    assert split.test - split.validation == 30.0
    with pytest.raises(UserError, match="split.test: expected a time after validation"):
        job.scenario((rows, times.format("2024-05-02", "2024-05-01")))
    with pytest.raises(UserError, match="split.test: expected a date or a date-time"):
        job.scenario((rows, times.format("2024-05-02", '"soon"')))


def test_scenario_file_that_is_not_there(tmp_path, capsys):
    assert main([str(tmp_path / "none.toml")]) == 2
    assert (
        capsys.readouterr().err
        == f"edgernn: {tmp_path}/none.toml: cannot be read (No such file or directory)\n"
    )


def test_scenario_file_with_a_wrong_name(tmp_path):
    with pytest.raises(UserError, match="expected a file name like my_pump.toml"):
        load_scenario(tmp_path / "My Pump.toml")
