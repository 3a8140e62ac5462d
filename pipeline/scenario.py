"""The scenario file (TOML): which data, which windows, which model, which budgets."""

import math
import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import toml_table as toml
from pipeline.calendar_columns import CALENDARS
from pipeline.data_sets import DATA_SETS
from pipeline.fleet.fleet_settings import FleetSettings
from pipeline.injection_settings import FaultInjection
from pipeline.scenario_rules import check_scenario
from pipeline.toml_table import entry

if TYPE_CHECKING:
    from pipeline.text.text_scenario import TextScenario

CELLS = ("gru", "lstm", "simple_rnn")
CORES = ("m0", "m3", "m4", "m7", "m33", "m55")  # Cortex-M, emulated
CORE_FIGURES = ("instructions", "flash", "ram")  # of the longest step; bytes
USUAL_SETTLED = 0.1  # share of what was usual that may still be of the first reading when learning begins
ARM64_BUDGETS = ("arm64_lsb", "arm64_xnnpack_lsb", "instructions_arm64")
BUDGETS = (
    "bytes",
    "arena_bytes",
    "convert_seconds",
    "metric",
    "metric_loss",
    "metric_points",
    "nrmse",
    "coverage_gap",
    "f1",
    "far",
    "mar",
    "event_recall",
    "event_delay",
    "false_alarms_per_100_hours",
    "parity_lsb",
    "step_us_p99",
    "latency_ratio",
    "window_ratio",
    *(f"{figure}_{core}" for core in CORES for figure in CORE_FIGURES),
    *ARM64_BUDGETS,
)


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Where the rows come from and the grid they are brought to. Exactly one of `set` and `path` is given.

    `time_unit`: of times that are numbers. `same_time`: what becomes of a row that says something else at a time that
    is there already; "keep" is for clocks coarser than the rows.
    """

    set: str | None = entry(toml.choice(*DATA_SETS), default=None)
    path: str | None = entry(toml.text, default=None)
    time: str = entry(toml.text)
    step_seconds: float = entry(toml.duration, key="step")
    stream: str | None = entry(toml.text, default=None)
    delimiter: str = entry(toml.text_of_one_character, default=",")
    max_gap_seconds: float | None = entry(toml.duration, key="max_gap", default=None)
    max_rejected: float = entry(toml.number(0.0, 1.0), default=0.01)
    time_unit: str = entry(toml.choice("s", "ms"), default="s")
    same_time: str = entry(toml.choice("reject", "keep"), default="reject")

    def __post_init__(self):
        if self.max_gap_seconds is None:
            object.__setattr__(self, "max_gap_seconds", 10 * self.step_seconds)

    @property
    def step_ms(self) -> int:
        return round(self.step_seconds * 1000)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: read from the files, or computed from the time of the grid bin when `calendar` is given.

    `role` is `input` (measured, fed to the model), `known` (fed, and known in advance; every calendar column
    is) or `label` (kept beside the stream, never fed). `header`: its name in the files, where it is another one.
    `optional`: files may lack it; its readings are missing there. `kinds`: of a label, names of its values 1, 2, ...
    `ahead`: of a known column, the value fed is the one it will have so much later; of a calendar, below 0, the one it
    had before.
    """

    name: str = entry(toml.text)
    unit: str = entry(toml.text)
    role: str = entry(toml.choice("input", "label", "known"), default="input")
    aggregate: str = entry(toml.choice("mean", "last", "max", "sum"), default="mean")
    minimum: float | None = entry(toml.number(), key="min", default=None)
    maximum: float | None = entry(toml.number(), key="max", default=None)
    calendar: str | None = entry(toml.choice(*CALENDARS), default=None)
    cycles: tuple[float, ...] = entry(toml.list_of(toml.number(above=0.0)), default=())
    header: str | None = entry(toml.text, default=None)
    optional: bool = entry(toml.flag, default=False)
    kinds: tuple[str, ...] = entry(toml.list_of(toml.text), default=())
    ahead_seconds: float = entry(toml.signed_duration, key="ahead", default=0.0)

    def __post_init__(self):
        if self.calendar is not None and self.role == "input":
            object.__setattr__(self, "role", "known")


@dataclass(frozen=True, kw_only=True)
class TimeSplit:
    """The `[split]` table with by = "time": where validation and test begin, and how long before is left unused."""

    by: str = entry(toml.choice("time"))
    validation: float = entry(toml.moment)
    test: float = entry(toml.moment)
    embargo: float | None = entry(toml.duration, default=None)


@dataclass(frozen=True, kw_only=True)
class RowSplit:
    """The `[split]` table with by = "rows": row counts per stream; the last of the train rows validate."""

    by: str = entry(toml.choice("rows"))
    train: int = entry(toml.whole(1))
    validation: int = entry(toml.whole(1))


@dataclass(frozen=True, kw_only=True)
class StreamSplit:
    """The `[split]` table with by = "stream": shares of whole streams, drawn by a salted hash of their names."""

    by: str = entry(toml.choice("stream"))
    validation: float = entry(toml.number(maximum=1.0, above=0.0))
    test: float = entry(toml.number(0.0, 1.0))
    salt: str = entry(toml.text, default="edgernn")


@dataclass(frozen=True, kw_only=True)
class Split:
    """By time: `validation`, `test` are epoch seconds; by rows: `train`, `validation` are counts; by stream: shares."""

    by: str
    validation: float | int
    test: float | None = None
    train: int | None = None
    embargo: float | None = None
    salt: str | None = None


SPLITS = {"time": TimeSplit, "rows": RowSplit, "stream": StreamSplit}


@dataclass(frozen=True, kw_only=True)
class Windows:
    """In steps: what is fed (`length`), from start to start (`stride`), steps without loss (`warmup`)."""

    length: int = entry(toml.whole(1))
    stride: int = entry(toml.whole(1))
    warmup: int = entry(toml.whole(0), default=0)


@dataclass(frozen=True, kw_only=True)
class Normalize:
    """Statistics of the whole set, or of the first `rows` readings of each stream."""

    by: str = entry(toml.choice("dataset", "stream"), default="dataset")
    rows: int | None = entry(toml.whole(2), default=None)


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The columns forecast and the leads in steps, first and last inclusive.

    `inputs`: the measured columns the network reads; all of them where none is named. What is not among them cannot
    enter a forecast, a fault of a target in particular; with lead 0 the network then is a virtual sensor.
    `lags`: the readings so long before the times that are forecast are fed too. `level`: what the network sees and
    says of the target is its distance to the mean of the readings that lags reach back to. `usual`: what was usual at
    the times forecast is fed too: the mean over all periods of the longest lag, of which the newest counts so much and
    what was before it the rest. `quantiles`: in rising order with .5, which is the forecast itself; the others are put
    out beside it.
    """

    targets: tuple[str, ...] = entry(toml.list_of(toml.text), default=())
    inputs: tuple[str, ...] = entry(toml.list_of(toml.text), default=())
    first_lead: int = entry(toml.member(0, toml.list_of(toml.whole(0), size=2)), key="leads")
    last_lead: int = entry(toml.member(1, toml.list_of(toml.whole(0), size=2)), key="leads")
    lags_seconds: tuple[float, ...] = entry(toml.list_of(toml.duration), key="lags", default=())
    level: bool = entry(toml.flag, default=False)
    usual: float | None = entry(toml.number(maximum=1.0, above=0.0), default=None)
    quantiles: tuple[float, ...] = entry(toml.list_of(toml.number(maximum=0.999, above=0.0)), default=())

    @property
    def reach(self) -> int:
        """Steps behind a window that its targets need: the last lead, and the next reading."""
        return max(self.last_lead, 1)


@dataclass(frozen=True, kw_only=True)
class Anomaly:
    """The score, see `keras_models.anomaly_score`.

    The threshold is set by the normal rows of all machines and a rate, that `false_alarm_share` of the steps reach it,
    or so many `false_alarms_per_hour`; or it is what the median machine reached in the last `own_limit` steps before
    there is a score. With `own_limit` a machine that reached more in them has that for a threshold. `reliance`: how
    much of a forecast is taken off. `ewma`: weight of the newest residual. `recentre`: steps over which the usual
    residual is learned, while the score is below `freeze`; it begins after `settle` steps. `repeats`: a reading that
    stands still so many times longer than it ever did is an alarm. `trusted`: share of the normal rows the covariance
    is made of; below 1 without those far off.
    `persistence`, `cool_down`: steps to raise the alarm, and to hold it. `contributions`: by channel, beside the score.
    """

    ewma: float = entry(toml.number(maximum=1.0, above=0.0))
    false_alarm_share: float | None = entry(toml.number(maximum=0.5, above=0.0), default=None)
    false_alarms_per_hour: float | None = entry(toml.number(above=0.0), default=None)
    own_limit: int | None = entry(toml.whole(1), default=None)
    reliance: float = entry(toml.number(maximum=1.0, above=0.0), default=1.0)
    recentre: int | None = entry(toml.whole(1), default=None)
    settle: int = entry(toml.whole(0), default=0)
    freeze: float = entry(toml.number(above=0.0), default=0.5)
    repeats: float | None = entry(toml.number(1.0), default=None)
    trusted: float = entry(toml.number(0.5, 1.0), default=1.0)
    persistence: int = entry(toml.whole(1), default=1)
    cool_down: int = entry(toml.whole(0), default=0)
    contributions: bool = entry(toml.flag, default=False)


@dataclass(frozen=True, kw_only=True)
class CardText:
    """What only the author can say in the model card; sentences. `data_licence`: of files of one's own."""

    intended_use: tuple[str, ...] = entry(toml.list_of(toml.text), default=())
    not_for: tuple[str, ...] = entry(toml.list_of(toml.text), default=())
    limits: tuple[str, ...] = entry(toml.list_of(toml.text), default=())
    data_licence: str | None = entry(toml.text, default=None)


@dataclass(frozen=True, kw_only=True)
class CellRace:
    """How `cell = "auto"` chooses: over `seeds` trainings each, another cell replaces the GRU where it is better with
    every seed and by `margin` (relative) in the mean, in a file of at most as many bytes.

    `metric`, of the validation part: the training "loss", or "rmse" of the forecast.
    """

    seeds: int = entry(toml.whole(1), default=3)
    margin: float = entry(toml.number(0.0, 1.0), default=0.02)
    metric: str = entry(toml.choice("loss", "rmse"), default="loss")


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The recurrent cell and its float training. With `cell` "auto", `units` are those of the GRU.

    `hidden`: units of a layer between the state and the forecast, which sees the features too; None: there is none.
    `loss`: the mean "absolute" error, or the "geometric" mean over the targets of their mean squared errors.
    `trust`: the network also says how far each of its forecasts can be trusted, and residuals count by that.
    `weight_bound`: of the elements of a matrix, times their root mean square. `disruptions`: share of the training
    windows in which the targets are a factor off for a while, others in each epoch.
    """

    cell: str = entry(toml.choice(*CELLS, "auto"))
    units: int = entry(toml.whole(1))
    epochs: int = entry(toml.whole(1))
    batch: int = entry(toml.whole(1))
    learning_rate: float = entry(toml.number(above=0.0))
    patience: int = entry(toml.whole(1))
    weight_decay: float = entry(toml.number(0.0), default=0.0)
    disruptions: float = entry(toml.number(0.0, 1.0), default=0.0)
    weight_bound: float | None = entry(toml.number(above=1.0), default=None)
    hidden: int | None = entry(toml.whole(1), default=None)
    loss: str = entry(toml.choice("absolute", "geometric"), default="absolute")
    trust: bool = entry(toml.flag, default=False)
    auto: CellRace | None = entry(toml.table_of(CellRace), default=None)


@dataclass(frozen=True, kw_only=True)
class Published:
    """A figure from the literature, quoted in the report beside our own; `value` is of the scenario's metric."""

    name: str = entry(toml.text)
    value: float = entry(toml.number(0.0))
    nrmse: float | None = entry(toml.number(0.0), default=None)
    far: float | None = entry(toml.number(0.0, 1.0), default=None)
    mar: float | None = entry(toml.number(0.0, 1.0), default=None)
    source: str = entry(toml.text)


@dataclass(frozen=True, kw_only=True)
class QuantizationSettings:
    """The shipped form and the quantization-aware fine-tuning before it (0 epochs: calibration only).

    activations "auto": the cheapest form whose loss on the validation part is within the budget `metric_loss`.
    state_dtype "int16": with activations "int8", so that slow states move; None: as the activations.
    """

    activations: str = entry(toml.choice("auto", "int8", "int16"))
    state_dtype: str | None = entry(toml.choice("int8", "int16"), default=None)
    state: str = entry(toml.choice("external", "internal"))
    epochs: int = entry(toml.whole(0))
    learning_rate: float = entry(toml.number(above=0.0))


def read_split(table: object, place: toml.Place) -> Split:
    """The form of the table follows from its key `by`."""
    by = table.get("by", "time") if isinstance(table, dict) else "time"
    kind = SPLITS[toml.choice(*SPLITS)(by, place.at("by"))]
    return Split(**vars(toml.read_table(kind, table, place)))


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One scenario file. `name` is the stem of the file."""

    name: str
    path: Path
    task: str = entry(toml.choice("forecast", "anomaly", "translate"))  # the last is read as a TextScenario
    seed: int = entry(toml.whole(0, 2**31 - 1))
    data: DataSource = entry(toml.table_of(DataSource))
    fleet: FleetSettings | None = entry(toml.table_of(FleetSettings), default=None)
    inject: FaultInjection | None = entry(toml.table_of(FaultInjection), default=None)
    columns: tuple[Column, ...] = entry(toml.tables_of(Column))
    split: Split = entry(read_split)
    windows: Windows = entry(toml.table_of(Windows))
    normalize: Normalize = entry(toml.table_of(Normalize), default=Normalize())
    forecast: Forecast = entry(toml.table_of(Forecast))
    anomaly: Anomaly | None = entry(toml.table_of(Anomaly), default=None)
    model: ModelSettings = entry(toml.table_of(ModelSettings))
    quantization: QuantizationSettings = entry(toml.table_of(QuantizationSettings))
    budgets: dict[str, float] = entry(toml.numbers_by_name(*BUDGETS), default_factory=dict)
    published: tuple[Published, ...] = entry(toml.tables_of(Published), default=())
    card: CardText | None = entry(toml.table_of(CardText), default=None)

    @property
    def cores(self) -> tuple[str, ...]:
        """The cores that budgets are about."""
        named = {budget.rpartition("_")[2] for budget in self.budgets}
        return tuple(core for core in CORES if core in named)

    @property
    def lag_steps(self) -> tuple[int, ...]:
        """The lags of the forecast in steps."""
        return tuple(round(lag / self.data.step_seconds) for lag in self.forecast.lags_seconds)

    @property
    def lag_memory(self) -> int:
        """Readings before the newest that the lags reach back to, and what was usual at them."""
        memory = max(self.lag_steps) - self.forecast.first_lead if self.lag_steps else 0
        return memory + usual_periods(self.forecast.usual) * max(self.lag_steps, default=0)

    @property
    def steps_ahead(self) -> int:
        """Steps by which columns known in advance reach beyond their own time."""
        return max(round(column.ahead_seconds / self.data.step_seconds) for column in self.columns)

    @property
    def arm64(self) -> bool:
        """Whether budgets are about ARM64."""
        return not set(ARM64_BUDGETS).isdisjoint(self.budgets)

    @property
    def inputs(self) -> tuple[Column, ...]:
        """The columns fed to the model, calendar columns included, in the order of the file."""
        return tuple(column for column in self.columns if column.role != "label")

    @property
    def labels(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.role == "label")

    @property
    def measured(self) -> tuple[Column, ...]:
        """The inputs read from the files, that is without the calendar columns."""
        return tuple(column for column in self.inputs if column.calendar is None)


def usual_periods(usual: float | None) -> int:
    """Periods after which what was usual is of readings but for a share of USUAL_SETTLED; 0 without."""
    if usual is None:
        return 0
    return 1 if usual == 1.0 else math.ceil(math.log(USUAL_SETTLED) / math.log(1 - usual))


def with_default_targets(scenario: Scenario) -> Scenario:
    """An anomaly scenario that names no targets scores every measured input that is not known in advance, nor named as
    one the network reads."""
    if scenario.forecast.targets or scenario.task != "anomaly":
        return scenario
    inputs = scenario.forecast.inputs
    targets = tuple(column.name for column in scenario.columns if column.role == "input" and column.name not in inputs)
    return replace(scenario, forecast=replace(scenario.forecast, targets=targets))


def load_scenario(path: str | Path) -> "Scenario | TextScenario":
    """Reads and checks a scenario file; one with task = "translate" is a `TextScenario`.

    Raises:
        UserError: not readable, not TOML, or a key or value that is not allowed.
    """
    path = Path(path)
    place = toml.Place(str(path))
    if path.suffix != ".toml" or not re.fullmatch(r"[a-z][a-z0-9_]*", path.stem):
        raise place.error("expected a file name like my_pump.toml: small letters, digits and _, a letter first")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise place.error(f"cannot be read ({error.strerror or error})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise place.error(f"is not valid TOML: {error}") from error
    if table.get("task") == "translate":
        from pipeline.text.text_scenario import read_text_scenario

        return read_text_scenario(table, place, name=path.stem, path=path)
    scenario = with_default_targets(toml.read_table(Scenario, table, place, name=path.stem, path=path))
    check_scenario(scenario, place)
    return scenario
