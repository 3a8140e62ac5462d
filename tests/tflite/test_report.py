import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from synthetic_build import ANOMALY_RECORD, FLOAT_RECORD, FORECAST_RECORD, make_anomaly, make_forecast, write

from pipeline.injection_settings import FaultInjection
from pipeline.scenario import Published
from pipeline.user_error import UserError
from tflite.report import write_report
from tflite.report.anomaly_pictures import read_streams, runs
from tflite.report.event_table import event_rows
from tflite.report.forecast_pictures import Series, contrasting_windows, wape
from tflite.report.picture import PALETTE, draw_picture

MAKERS = {"forecast": make_forecast, "anomaly": make_anomaly}
FETCHING = {"src", "href", "xlink:href", "srcset", "data", "action", "poster", "background"}
OPTIONAL = [
    "gates.json",
    "dataset/dataset.json",
    "tflite/artifact.json",
    "model/history.csv",
    "model/qat.json",
    "trace.parquet",
]


VOID = {"meta", "link", "br", "hr", "img", "use", "path", "rect"}


class Page(HTMLParser):
    """Collects what a page would fetch, its ids, its visible text, and checks that tags close."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.ids, self.targets, self.tags, self.open = [], [], [], [], []
        self.text = ""
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes, closed=False):
        self.tags.append(tag)
        if tag not in VOID and not closed:
            self.open.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            elif name in FETCHING and value.startswith("#"):
                self.targets.append(value[1:])
            elif name in FETCHING:
                self.fetched.append((tag, value))

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes, closed=True)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text += data


@pytest.fixture(params=MAKERS)
def made(request, tmp_path):
    return MAKERS[request.param](tmp_path)


def read(path):
    return path.read_text(encoding="utf-8")


def test_page_is_whole_and_self_contained(made):
    path = write_report(*made)
    assert path == made[1] / made[0].name / "report.html"
    text = read(path)
    page = Page(text)
    assert page.fetched == [("link", "data:,")]
    assert not {"script", "img", "iframe", "object"} & set(page.tags)
    assert not re.findall(r"url\((?!#)[^)]*\)|@import", text)
    assert len(page.ids) == len(set(page.ids))
    assert set(page.targets) | set(re.findall(r"url\(#([^)]+)\)", text)) <= set(page.ids)
    assert path.stat().st_size < 3_000_000


def test_same_inputs_same_bytes_in_a_fresh_process_too(made):
    scenario, build = made
    first = write_report(scenario, build).read_bytes()
    code = (
        "import sys; from pipeline.scenario import load_scenario; from tflite.report import write_report; "
        "write_report(load_scenario(sys.argv[1]), sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, str(scenario.path), str(build)], check=True)
    assert (build / scenario.name / "report.html").read_bytes() == first


def test_pictures_follow_the_pages_colours_and_speak(made):
    text = read(write_report(*made))
    pictures = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(pictures) >= 8
    assert not re.findall(r"#[0-9a-f]{6}", "".join(pictures))
    assert not re.findall(r"://|<metadata|<!--", "".join(pictures))
    assert text.count('role="img" aria-label="') * 2 == len(pictures)
    assert all(f"--{meaning}:" in text for meaning in PALETTE)


def test_forecast_report_says_the_figures(tmp_path):
    page = Page(read(write_report(*make_forecast(tmp_path))))
    text = page.text.replace("\u00a0", " ")
    for said in (
        "All 1 budgets hold",
        "12,344 B",
        "9,216 B",
        "9.5 · 21 µs",
        "14.10 %",
        "float 14.00 %",
        "+0.71 %",
        "PTQ) +7.14 %",
        "1 quantum",
        "5,000 steps",
        "same hour last week",
        "30.20 %",
        "31,000 B",
        "All validated models",
        "0.12 %",
        "0.20 % of its state values",
        "Busiest week",
        "Quietest week",
        "24 h ahead",
        "3 (0.06 %)",
        "BSD-2-Clause",
        "FULLY_CONNECTED",
        "MUL ×2",
        "2 float epochs, then 1 quantization-aware epochs",
        "one quantum is 2.3",
        "The scenario asks for int8.",
        "+0.50 %",
        "The loss of int8 is its distance",
        "3.15.1",
    ):
        assert said in text, said


AUTO = {
    "epochs": 1,
    "form": "int8_state16",
    "good_enough": True,
    "float_loss": 0.2,
    "allowed_loss": 0.01,
    "trials": [
        {"form": "int8", "calibrated": 0.25, "finetuned": 0.23},
        {"form": "int8_state16", "calibrated": 0.202},
    ],
}


def made_automatically(tmp_path, maker, record, quantization):
    """A build of a scenario that leaves the form open, where int8 with int16 states was shipped."""
    scenario, build = maker(tmp_path)
    scenario = replace(scenario, quantization=replace(scenario.quantization, activations="auto"))
    wide = record | {"state_dtype": "int16"}
    write(build / scenario.name / "validation.json", {"models": [FLOAT_RECORD | {"cell": "gru"}, wide]})
    write(build / scenario.name / "model" / "qat.json", quantization)
    return Page(read(write_report(scenario, build))).text.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("maker", "record"), [(make_forecast, FORECAST_RECORD), (make_anomaly, ANOMALY_RECORD)], ids=MAKERS
)
def test_a_form_chosen_by_the_stage_is_named_as_it_was_built(tmp_path, maker, record):
    text = made_automatically(tmp_path, maker, record, AUTO)
    for said in (
        "8 units · int8_state16 · external state",
        "int8_state16 shipped",
        "Lost by int8_state16",
        "The loss of int8_state16 is",
        "at most 1.00 % above that of the float model: int8_state16.",
        "+15.00 %",
        "+1.00 %",
    ):
        assert said in text, said
    assert "auto" not in text


def test_what_was_published_and_injected_and_taken_back_is_said(tmp_path):
    scenario, build = make_anomaly(tmp_path)
    published = Published(name="MSET", value=0.78, far=0.397, source="the leaderboard")
    inject = FaultInjection(column="count", seed=1, sound_seconds=9.0, offset=4.0, drift=2.0, resolution=1.0)
    trial = {"form": "int8", "calibrated": 0.25, "finetuned": 0.23, "kept": "calibrated"}
    write(build / scenario.name / "model" / "qat.json", AUTO | {"form": "int8", "trials": [trial]})
    scenario = replace(scenario, published=(published,), inject=inject)
    text = Page(read(write_report(scenario, build))).text.replace("\u00a0", " ")
    for said in (
        "MSET (published)",
        "39.70 %",
        "not run here: the leaderboard",
        "semi-synthetic",
        "stuck, off by 4, drifting by 2 a minute",
        "it ships as it was calibrated",
        "+25.00 %",
    ):
        assert said in text, said


def test_the_best_of_forms_that_are_not_good_enough_is_said_to_be_that(tmp_path):
    text = made_automatically(tmp_path, make_anomaly, ANOMALY_RECORD, AUTO | {"good_enough": False})
    assert "No form has a validation loss at most 1.00 % above that of the float model; the best of them" in text


@pytest.mark.parametrize("trials", [{"form": "int8"}, ["int8"], [{"calibrated": 0.2}]])
def test_damaged_trials_are_one_line(made, trials):
    scenario, build = made
    write(build / scenario.name / "model" / "qat.json", {"trials": trials})
    with pytest.raises(UserError, match=r"qat\.json: damaged.*edgernn quantize"):
        write_report(scenario, build)


def test_parity_says_whose_states_were_compared(tmp_path):
    scenario, build = make_forecast(tmp_path)
    forced = FORECAST_RECORD["parity"][0] | {"state_forced": True}
    free = forced | {"state_forced": False, "max_lsb": 47}
    write(build / "demand" / "validation.json", {"models": [FORECAST_RECORD | {"parity": [forced, free]}]})
    text = Page(read(write_report(scenario, build))).text.replace("\u00a0", " ")
    assert "made equal before each step" in text and "each its own" in text and "47" in text
    assert "1 quantum" in text and "47 quanta" not in text, "the key figure is that of equal states"


def test_forecast_report_says_intervals_and_what_is_published(tmp_path):
    text = Page(read(write_report(*make_forecast(tmp_path)))).text.replace("\u00a0", " ")
    for said in (
        "NRMSE",
        "within interval, 80.00 % promised",
        "82.00 %",
        "41.00 %",
        "LSTM of others (published)",
        "21.00 %",
        "0.55",
        "Published figures, not run here: their paper.",
        "of them lie in the shaded interval",
        "The int8 model: 9.0 % 1 h ahead, 11.0 % 3 h ahead, 13.0 % 5 h ahead.",
    ):
        assert said in text, said


def test_anomaly_report_says_the_figures(tmp_path):
    text = Page(read(write_report(*make_anomaly(tmp_path)))).text.replace("\u00a0", " ")
    for said in (
        "1 of 1 budgets broken: f1",
        "0.83",
        "at least 0.9",
        "0.07 short",
        "21.00 %",
        "EWMA + Mahalanobis",
        "better than its strongest simple rival",
        "Best stream: valve/0.csv",
        "threshold 1.0",
        "Current, A",
        "your own files, pumps",
    ):
        assert said in text, said
    assert "not measured" in text


@pytest.mark.parametrize("missing", OPTIONAL)
def test_an_absent_file_is_shown_as_not_measured(made, missing):
    scenario, build = made
    for absent in {missing, "trace.parquet"}:  # without a trace the page takes a tenth of the time
        (build / scenario.name / absent).unlink()
    text = Page(read(write_report(scenario, build))).text
    stage = {"gates": "gates", "datase": "preprocess", "tflite": "convert", "model/q": "quantize", "model/": "train"}
    command = next((value for key, value in stage.items() if missing.startswith(key)), "validate")
    assert f"edgernn {command} {scenario.path.name}" in text


def test_absent_figures_are_never_zero(made):
    scenario, build = made
    for missing in OPTIONAL:
        (build / scenario.name / missing).unlink()
    write(build / scenario.name / "validation.json", {"models": []})
    text = Page(read(write_report(scenario, build))).text
    cards = text[: text.index("Alarms against" if scenario.task == "anomaly" else "Forecast against")]
    assert cards.count("not measured") >= 6
    assert not re.findall(r"\b0(\.0+)? ?(B|µs|%)", text)


@pytest.mark.parametrize("record", [FORECAST_RECORD, ANOMALY_RECORD])
def test_every_single_figure_may_be_absent(made, record):
    scenario, build = made
    for key in record:
        write(
            build / scenario.name / "validation.json",
            {"models": [{k: v for k, v in record.items() if k != key}]},
        )
        (build / scenario.name / "trace.parquet").unlink(missing_ok=True)
        write_report(scenario, build)
    for key in record["metric"]:
        metric = {k: v for k, v in record["metric"].items() if k != key}
        write(build / scenario.name / "validation.json", {"models": [record | {"metric": metric}]})
        write_report(scenario, build)


@pytest.mark.parametrize("damaged", [*OPTIONAL, "validation.json"])
def test_a_damaged_file_is_one_line_and_leaves_the_last_report(made, damaged):
    scenario, build = made
    report = build / scenario.name / "report.html"
    report.write_text("the last one")
    path = build / scenario.name / damaged
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(UserError) as caught:
        write_report(scenario, build)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value) and "edgernn " in str(caught.value)
    assert report.read_text() == "the last one"


def test_missing_validation_names_the_command(made):
    scenario, build = made
    (build / scenario.name / "validation.json").unlink()
    with pytest.raises(UserError, match="edgernn validate"):
        write_report(scenario, build)


def test_names_are_escaped_everywhere(tmp_path):
    evil = '<script>alert("x")</script>&$a_b$'
    scenario, build = make_anomaly(tmp_path)
    rename_streams(build / "pump" / "trace.parquet", evil)
    dataset = json.loads((build / "pump" / "dataset" / "dataset.json").read_text())
    dataset["columns"][0]["name"] = dataset["streams"][0] = dataset["source"]["set"] = evil
    write(build / "pump" / "dataset" / "dataset.json", dataset)
    rivals = {"metric": ANOMALY_RECORD["metric"] | {"rivals": {evil: 0.5}}, "ops": [evil], "cell": evil}
    write(build / "pump" / "validation.json", {"models": [ANOMALY_RECORD | rivals | {"cell": "gru"}]})
    page = Page(read(write_report(scenario, build)))
    assert "script" not in page.tags
    assert page.text.count(evil) >= 4


def rename_streams(path, suffix):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    names = [f"{name}{suffix}" for name in table.column("stream").to_pylist()]
    pq.write_table(table.set_column(table.column_names.index("stream"), "stream", pa.array(names)), path)


def test_short_and_patchy_traces_still_make_a_page(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    scenario, build = make_forecast(tmp_path)
    whole = pq.read_table(build / "demand" / "trace.parquet")
    holes = pa.array([None if row % 3 else 1.0 for row in range(whole.num_rows)], pa.float32())
    patchy = whole.set_column(whole.column_names.index("float"), "float", holes)
    for table in (
        whole.slice(0, 1),
        whole.slice(0, 5),
        whole.slice(0, 60),
        whole.slice(0, 0),
        patchy,
        whole.drop_columns(["quantized"]),
        whole.drop_columns(["float", "quantized_lead1"]),
    ):
        pq.write_table(table, build / "demand" / "trace.parquet")
        Page(read(write_report(scenario, build)))


def test_bench_is_shown(tmp_path):
    scenario, build = make_forecast(tmp_path)
    write(
        build / "bench.json",
        [
            {
                "name": "step demand",
                "unit": "µs",
                "ours": 9.8,
                "rival": 24.1,
                "rival_name": "ONNX",
                "ratio": {"min": 0.39, "median": 0.41, "max": 0.44},
            }
        ],
    )
    assert "0.41 (0.39 to 0.44)" in Page(read(write_report(scenario, build))).text


def test_importing_the_report_does_not_load_the_plotting_library():
    code = "import sys, tflite.report; print('matplotlib' in sys.modules, 'jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]


def test_windows_contrast_busy_quiet_and_badly_forecast_weeks():
    hours = 5 * 168
    time = np.datetime64("2024-01-01T00", "ms") + np.arange(hours) * np.timedelta64(1, "h")  # a Monday
    truth = np.repeat([5.0, 9.0, 1.0, 5.0, 5.0], 168)
    ours = truth.copy()
    ours[3 * 168 : 4 * 168] += 2
    series = Series(time, {"truth": truth, "quantized": ours}, "rides/h", "24 h", "int8", 3600.0)
    found = {name: (begin, end) for name, _, begin, end in contrasting_windows(series)}
    assert found == {"busiest": (168, 336), "quietest": (336, 504), "worst": (504, 672)}


def test_wape_skips_what_is_missing():
    assert wape(np.array([1.0, np.nan, 3.0]), np.array([2.0, 5.0, np.nan])) == 1.0
    assert np.isnan(wape(np.array([np.nan]), np.array([1.0])))


def test_streams_are_judged_by_observed_test_rows_with_a_score():
    trace = {
        "stream": np.array(["a"] * 6),
        "time": np.arange(6).astype("datetime64[s]").astype("datetime64[ms]"),
        "part": np.array(["train", "test", "test", "test", "test", "test"]),
        "observed": np.array([1.0, 1, 1, 1, 0, 1]),
        "score_quantized": np.array([5.0, 5, 5, 0.1, 5, np.nan]),
        "alarm": np.array([1.0, 1, 1, 0, 1, 1]),
        "label": np.array([0.0, 1, 0, 0, 0, 0]),
    }
    (stream,) = read_streams(trace)
    assert (stream.f1, stream.false_alarms) == (pytest.approx(2 / 3), 0.5)


def test_runs_reach_one_step_past_their_last_row():
    assert runs(np.array([1, 1, 0, 1], bool), np.array([0.0, 1.0, 2.0, 3.0])) == [(0.0, 2.0), (3.0, 1.0)]
    assert runs(np.array([False]), np.array([0.0])) == []


def test_dollars_in_a_picture_are_dollars():
    picture = draw_picture(
        "money",
        lambda figure, narrow: figure.text(0.5, 0.5, "a$b_c$d"),
        alt="",
        caption="",
        wide_height=1,
        narrow_height=1,
    )
    assert "a$b_c$d" in picture.wide


def test_events_are_told_by_kind_beside_the_rivals():
    rows = event_rows(ANOMALY_RECORD, "int8")
    assert [(row["name"], row["kind"]) for row in rows] == [
        ("float32", "ours"), ("int8 shipped", "shipped"), ("shut valve", "part"), ("always alarm", "rival")]
    assert (rows[1]["recall"], rows[1]["delay"], rows[1]["false"]) == ("80.00 %", "4 s", "12.5")
    assert rows[2]["delay"] == "not half of them" and rows[2]["blamed"] == "Current 4"
    assert event_rows({}, "int8") == []
