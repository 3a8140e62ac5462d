import copy
import io
import json
import math
from dataclasses import replace

import pytest
from synthetic_build import ANOMALY_RECORD, FORECAST_RECORD, make_forecast, write

from pipeline.scenario import BUDGETS, CORE_FIGURES, CORES
from pipeline.text.text_scenario import BUDGETS as TEXT_BUDGETS
from pipeline.user_error import UserError
from tflite.budget_table import print_gates
from tflite.budgets import RULES, check_budgets, gates
from tflite.validation_record import model_name, shipped_records

BENCH = [
    {
        "name": "step demand",
        "unit": "µs",
        "ours": 9,
        "rival": 20,
        "rival_name": "ONNX Runtime float GRU, session.run",
        "ratio": {"min": 0.4, "median": 0.45, "max": 0.6},
    },
    {
        "name": "demand: LiteRT int8 step",
        "unit": "us",
        "ours": 4,
        "rival": 160,
        "rival_name": "LiteRT float GRU, window of 96",
        "ratio": {"min": 0.02, "median": 0.025, "max": 0.03},
    },
]

ARM64_RECORD = FORECAST_RECORD | {
    "parity": [
        {"runtime": "arm64 litert (builtin)", "reference": "litert (builtin)", "steps": 2000, "max_lsb": 0.0},
        {"runtime": "arm64 xnnpack (LiteRT default)", "reference": "tflm", "steps": 2000, "max_lsb": 2.0},
        {"runtime": "arm64 generated c", "reference": "tflm", "steps": 2000, "max_lsb": 0.0},
    ],
    "instructions": {"arm64": 18000, "m4": 1},
}

TRANSLATION_RECORD = {
    "scenario": "translate",
    "metric": {"name": "bleu", "float": 35.5, "quantized": 35.25},
    "exact_match": {"quantized": 0.25},
    "identity": {"quantized": 0.96},
}

# budget: (the record it speaks of, a budget that just holds, one that is just missed, path of its figure)
FIGURES = {
    "bytes": (FORECAST_RECORD, 12344, 12343, ("bytes",)),
    "arena_bytes": (FORECAST_RECORD, 9216, 9215, ("memory", "arena_bytes")),
    "convert_seconds": (FORECAST_RECORD, 0.4, 0.39, ("convert_seconds",)),
    "metric": (FORECAST_RECORD, 0.141, 0.1409, ("metric", "quantized")),
    "metric_loss": (FORECAST_RECORD, 0.00715, 0.0071, ("metric", "float")),
    "metric_points": (FORECAST_RECORD, 0.001000001, 0.0009, ("metric", "float")),
    "nrmse": (FORECAST_RECORD, 0.3, 0.29, ("nrmse", "quantized")),
    "coverage_gap": (FORECAST_RECORD, 0.0200001, 0.019, ("coverage", "quantized")),
    "f1": (ANOMALY_RECORD, 0.83, 0.8301, ("metric", "quantized")),
    "far": (ANOMALY_RECORD, 0.21, 0.2099, ("far", "quantized")),
    "mar": (ANOMALY_RECORD, 0.18, 0.1799, ("mar", "quantized")),
    "event_recall": (ANOMALY_RECORD, 0.8, 0.801, ("events", "quantized", "recall")),
    "event_delay": (ANOMALY_RECORD, 4, 3.9, ("events", "quantized", "median_delay")),
    "false_alarms_per_100_hours": (ANOMALY_RECORD, 12.5, 12.4, ("events", "quantized", "false_alarms_per_100_hours")),
    "parity_lsb": (FORECAST_RECORD, 1, 0, ("parity", 0, "max_lsb")),
    "step_us_p99": (FORECAST_RECORD, 21, 20.9, ("latency_us", "p99")),
    "latency_ratio": (FORECAST_RECORD, 0.45, 0.44, ("bench", 0, "ratio", "median")),
    "bleu": (TRANSLATION_RECORD, 35.25, 35.26, ("metric", "quantized")),
    "bleu_loss": (TRANSLATION_RECORD, 0.25, 0.24, ("metric", "float")),
    "exact_match": (TRANSLATION_RECORD, 0.25, 0.26, ("exact_match", "quantized")),
    "identity": (TRANSLATION_RECORD, 0.96, 0.961, ("identity", "quantized")),
    "window_ratio": (FORECAST_RECORD, 0.025, 0.0249, ("bench", 1, "ratio", "median")),
    **{
        f"{figure}_{core}": (FORECAST_RECORD | {figure: {core: 1000, "other": 1}}, 1000, 999, (figure, core))
        for core in CORES
        for figure in CORE_FIGURES
    },
    "arm64_lsb": (ARM64_RECORD, 0, -1, ("parity", 0, "max_lsb")),
    "arm64_xnnpack_lsb": (ARM64_RECORD, 2, 1.9, ("parity", 1, "max_lsb")),
    "instructions_arm64": (ARM64_RECORD, 18000, 17999, ("instructions", "arm64")),
}


def check_one(budget, allowed, **changes):
    """Gate of one budget; changes: value=... puts that value in place of the figure (None: takes it away)."""
    record, *_, path = FIGURES[budget]
    record = copy.deepcopy(record) | {"bench": copy.deepcopy(BENCH)}
    if changes:
        place = record
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = changes["value"]
        if changes["value"] is None:
            del place[path[-1]]
    bench = record.pop("bench")
    (gate,) = check_budgets({budget: allowed}, {"models": [record]}, bench)
    return gate


def test_every_budget_of_a_scenario_has_a_rule_and_a_case_here():
    assert set(RULES) == {*BUDGETS, *TEXT_BUDGETS} == set(FIGURES)


@pytest.mark.parametrize("budget", FIGURES)
def test_holds_up_to_the_budget_and_not_beyond(budget):
    _, holds, misses, _ = FIGURES[budget]
    assert check_one(budget, holds).ok
    broken = check_one(budget, misses)
    assert not broken.ok
    assert broken.margin < 0
    assert abs(broken.margin) == pytest.approx(abs(broken.measured - misses))


@pytest.mark.parametrize("budget", FIGURES)
def test_what_was_not_measured_is_broken(budget):
    gate = check_one(budget, FIGURES[budget][1], value=None)
    assert not gate.ok
    assert gate.measured is None
    assert gate.reason.startswith("not measured")
    assert "measured" not in gate.as_record()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "12", True])
@pytest.mark.parametrize("budget", FIGURES)
def test_what_is_not_a_finite_number_is_broken(budget, value):
    gate = check_one(budget, FIGURES[budget][1], value=value)
    assert not gate.ok
    assert gate.reason.startswith("not a finite number")
    json.dumps(gate.as_record(), allow_nan=False)


@pytest.mark.parametrize("budget", FIGURES)
def test_a_budget_of_nan_never_passes(budget):
    gate = check_one(budget, math.nan)
    assert not gate.ok
    json.dumps(gate.as_record(), allow_nan=False)


EMULATED = {"instructions_m4": "cores", "ram_m0": "cores", "arm64_lsb": "arm64", "instructions_arm64": "arm64"}


@pytest.mark.parametrize(("budget", "device"), EMULATED.items())
def test_a_tool_that_is_missing_skips_a_gate_only_where_that_is_allowed(budget, device):
    missing = {"not_measured": {device: "qemu not found; `make system-packages` installs it"}}
    record = {key: value for key, value in FORECAST_RECORD.items() if key != "instructions"} | missing
    (skipped,) = check_budgets({budget: 1}, {"models": [record]}, None, may_skip=True)
    (broken,) = check_budgets({budget: 1}, {"models": [record]}, None)
    assert (skipped.ok, skipped.skipped, broken.ok, broken.skipped) == (True, True, False, False)
    assert skipped.reason == broken.reason == "not measured here: qemu not found; `make system-packages` installs it"
    assert skipped.as_record()["skipped"] is True
    other = record | {"not_measured": {"other": "no tool"}}
    (gate,) = check_budgets({budget: 1}, {"models": [other]}, None, may_skip=True)
    assert not gate.ok and not gate.skipped


def test_a_figure_beyond_its_budget_is_broken_whatever_may_be_skipped():
    (gate,) = check_budgets({"arm64_lsb": 0}, {"models": [_arm64(builtin=1.0)]}, None, may_skip=True)
    assert not gate.ok and gate.measured == 1.0


def _arm64(builtin):
    first, *others = ARM64_RECORD["parity"]
    return ARM64_RECORD | {"parity": [first | {"max_lsb": builtin}, *others]}


@pytest.mark.parametrize(("ci", "passes"), [("", True), ("true", False)])
def test_ci_skips_nothing(ci, passes, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CI", ci)
    scenario, build = make_forecast(tmp_path)
    scenario = replace(scenario, budgets={"bytes": 10**6, "flash_m4": 9000})
    missing = FORECAST_RECORD | {"not_measured": {"cores": "arm-none-eabi-gcc not found"}}
    write(build / scenario.name / "validation.json", {"models": [missing]})
    assert gates(scenario, build) is passes
    said = capsys.readouterr().out
    record = json.loads((build / scenario.name / "gates.json").read_text())["gates"][1]
    assert record["reason"] == "not measured here: arm-none-eabi-gcc not found" and record["ok"] is passes
    assert ("1 budgets hold, 1 were not measured on this machine" in said) is passes


def test_loss_is_relative_and_follows_the_direction_of_the_metric():
    assert check_one("metric_loss", 1.0).measured == pytest.approx(0.001 / 0.14)
    (gate,) = check_budgets({"metric_loss": 1.0}, {"models": [ANOMALY_RECORD]}, None)
    assert gate.measured == pytest.approx(0.01 / 0.84)
    better = copy.deepcopy(FORECAST_RECORD)
    better["metric"]["quantized"] = 0.13
    assert check_budgets({"metric_loss": 0.0}, {"models": [better]}, None)[0].ok


def test_loss_against_a_float_metric_of_zero_or_an_unknown_metric_is_not_measured():
    assert not check_one("metric_loss", 1.0, value=0).ok
    record = FORECAST_RECORD | {"metric": {"name": "mystery", "float": 1.0, "quantized": 1.0}}
    (gate,) = check_budgets({"metric_loss": 1.0}, {"models": [record]}, None)
    assert "mystery" in gate.reason


@pytest.mark.parametrize(
    ("pairs", "measured"),
    [
        ([("litert", "tflm", 5000, 1), ("tflm", "litert", 5000, 3)], 3),
        ([("litert", "tflm", 5000, 1), ("litert", "keras", 5000, 9)], 1),
        ([("litert (builtin)", "tflm", 5000, 3), ("litert (reference)", "tflm", 5000, 0)], 0),
        ([("litert (builtin)", "tflm", 5000, 0)], None),
        ([("litert", "keras", 5000, 0)], None),
        ([("litert", "tflm", 0, 0)], None),
        ([], None),
    ],
)
def test_parity_takes_the_worst_of_litert_against_tflm_and_needs_steps(pairs, measured):
    names = ("runtime", "reference", "steps", "max_lsb")
    record = FORECAST_RECORD | {"parity": [dict(zip(names, pair, strict=True)) for pair in pairs]}
    (gate,) = check_budgets({"parity_lsb": 2}, {"models": [record]}, None)
    assert gate.measured == measured


def test_parity_of_models_running_freely_is_not_gated():
    """A difference of a quantum grows with every step: it says nothing about one step."""
    forced = {"runtime": "litert", "reference": "tflm", "steps": 9, "max_lsb": 1.0, "state_forced": True}
    free = forced | {"max_lsb": 99.0, "state_forced": False}
    (gate,) = check_budgets({"parity_lsb": 2}, {"models": [FORECAST_RECORD | {"parity": [free, forced]}]}, None)
    assert (gate.measured, gate.ok) == (1.0, True)
    (gate,) = check_budgets({"parity_lsb": 100}, {"models": [FORECAST_RECORD | {"parity": [free]}]}, None)
    assert not gate.ok and gate.reason == "not measured: no LiteRT against TFLM parity from the same state"


def test_latency_ratio_is_the_worst_median_of_this_scenarios_steps():
    other = [
        BENCH[0] | {"name": "step demand_small", "ratio": {"median": 0.9}},
        BENCH[0] | {"name": "training demand", "ratio": {"median": 0.8}},
        BENCH[0] | {"name": "step demand", "rival_name": "Keras", "ratio": {"median": 0.7}},
        BENCH[0] | {"name": "demand: LiteRT int8 step", "ratio": {"median": 0.48}},
    ]
    (gate,) = check_budgets({"latency_ratio": 0.5}, {"models": [FORECAST_RECORD]}, BENCH + other)
    assert (gate.ok, gate.measured) == (True, 0.48)


def test_no_bench_breaks_the_latency_ratio_and_names_the_command():
    (gate,) = check_budgets({"latency_ratio": 0.5}, {"models": [FORECAST_RECORD]}, None)
    assert not gate.ok
    assert "edgernn bench demand" in gate.reason


def test_without_a_record_everything_is_broken():
    checked = check_budgets(dict.fromkeys(RULES, 1e9), {"models": []}, None)
    assert len(checked) == len(RULES)
    assert not any(gate.ok for gate in checked)


def test_unknown_budget_is_named_with_what_is_allowed():
    with pytest.raises(UserError, match=r"kilobytes: no such budget; allowed: bytes"):
        check_budgets({"kilobytes": 1}, {"models": [FORECAST_RECORD]}, None)


def printed(checked):
    out = io.StringIO()
    print_gates("demand", checked, file=out)
    return out.getvalue()


@pytest.mark.parametrize("budget", FIGURES)
def test_table_names_each_broken_budget_with_measured_allowed_and_difference(budget):
    gate = check_one(budget, FIGURES[budget][2])
    text = printed([gate])
    line = next(line for line in text.splitlines() if line.startswith(f" {budget} "))
    assert "BROKEN" in line
    assert ("short" if budget in ("f1", "event_recall", "bleu", "exact_match", "identity") else "over") in line
    assert text.rstrip().endswith(f"demand: 1 of 1 budgets broken: {budget}")
    assert "\x1b" not in text


def test_table_tells_figures_apart():
    text = printed(
        check_budgets({"bytes": 10000, "metric_loss": 0.001, "f1": 0.5}, {"models": [FORECAST_RECORD]}, None)
    )
    bytes_line, loss_line, f1_line = (line for line in text.splitlines() if "gru_int8_external" in line)
    assert (
        "12,344 B" in bytes_line
        and "at most 10,000 B" in bytes_line
        and "2,344 B over (23.4 % of it)" in bytes_line
    )
    assert "0.71 %" in loss_line and "at most 0.10 %" in loss_line and "0.61 points over" in loss_line
    assert "not measured: the metric is wape" in f1_line
    assert "3 of 3 budgets broken: bytes, metric_loss, f1" in text


def test_in_ci_a_terminal_gets_no_colours(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = Terminal()
    print_gates("demand", check_budgets({"bytes": 1}, {"models": [FORECAST_RECORD]}, None), file=out)
    assert "\x1b" not in out.getvalue()


def test_gates_writes_what_it_checked(tmp_path, capsys):
    scenario, build = make_forecast(tmp_path)
    assert gates(scenario, build)
    written = json.loads((build / "demand" / "gates.json").read_text())["gates"]
    assert [gate["budget"] for gate in written] == ["bytes", "metric_loss", "parity_lsb"]
    assert written[0] == {
        "budget": "bytes",
        "model": "gru_int8_external",
        "measured": 12344.0,
        "allowed": 16000.0,
        "ok": True,
        "margin": 3656.0,
        "unit": "B",
        "at_least": False,
    }
    assert "demand: all 3 budgets hold" in capsys.readouterr().out
    before = (build / "demand" / "gates.json").read_bytes()
    gates(scenario, build)
    assert (build / "demand" / "gates.json").read_bytes() == before


def test_gates_says_false_when_one_is_broken_and_keeps_to_the_shipped_model(tmp_path, capsys):
    scenario, build = make_forecast(tmp_path)
    wide = FORECAST_RECORD | {"activations": "int16", "bytes": 99999}
    write(build / "demand" / "validation.json", {"models": [wide, FORECAST_RECORD]})
    assert gates(scenario, build)
    write(
        build / "demand" / "validation.json",
        {"models": [FORECAST_RECORD, FORECAST_RECORD | {"bytes": 99999}]},
    )
    assert gates(scenario, build)
    write(build / "demand" / "validation.json", {"models": [wide]})
    assert not gates(scenario, build)
    assert "3 of 3 budgets broken" in capsys.readouterr().out


FORMS = {
    "float32": {"activations": "float32"},
    "int8": {"activations": "int8"},
    "int8_state16": {"activations": "int8", "state_dtype": "int16"},
    "int16": {"activations": "int16"},
}


@pytest.mark.parametrize(
    ("activations", "state_dtype", "shipped"),
    [
        ("int8", None, ["int8"]),
        ("int8", "int8", ["int8"]),
        ("int8", "int16", ["int8_state16"]),
        ("int16", None, ["int16"]),
        ("auto", None, ["int8", "int8_state16", "int16"]),
    ],
)
def test_the_shipped_record_is_of_a_form_the_scenario_allows(tmp_path, activations, state_dtype, shipped):
    scenario, _ = make_forecast(tmp_path)
    settings = replace(scenario.quantization, activations=activations, state_dtype=state_dtype)
    scenario = replace(scenario, quantization=settings)
    bare = {key: value for key, value in FORECAST_RECORD.items() if key != "activations"}
    for name, form in FORMS.items():
        record = bare | form
        assert model_name(record) == f"gru_{name}_external"
        assert shipped_records(scenario, {"models": [record]}) == ([record] if name in shipped else [])
        assert shipped_records(scenario, {"models": [record | {"cell": "lstm"}]}) == []
        assert shipped_records(scenario, {"models": [record | {"state": "internal"}]}) == []
    first = [bare | FORMS[name] for name in (*shipped, "float32")]
    assert shipped_records(scenario, {"models": first[::-1]}) == [first[-2]]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        '{"models": [{"cell": "gru"',
        "[]",
        "{}",
        '{"models": [3]}',
        '{"models": [{"metric": "wape"}]}',
        '{"models": [{"parity": [1]}]}',
        '{"models": [{"activations": "int4"}]}',
        '{"models": [{"activations": ["int8"]}]}',
        '{"models": [{"activations": "int16", "state_dtype": "int8"}]}',
        "\x00\x01",
    ],
)
def test_missing_or_damaged_validation_is_one_line_with_the_remedy(tmp_path, text):
    scenario, build = make_forecast(tmp_path)
    path = build / "demand" / "validation.json"
    (build / "demand" / "gates.json").unlink()
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(UserError) as caught:
        gates(scenario, build)
    assert "\n" not in str(caught.value)
    assert "validation.json" in str(caught.value)
    assert f"edgernn validate {scenario.path}" in str(caught.value)
    assert not (build / "demand" / "gates.json").exists()
