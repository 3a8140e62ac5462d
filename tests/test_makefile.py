"""What make does again, and what not: the real Makefile over a stand-in for the command that only leaves its files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The file each stage leaves, as the Makefile knows it.
LEAVES = {
    "preprocess": "dataset/dataset.json",
    "train": "model/float.json",
    "quantize": "model/qat.json",
    "convert": "tflite/seconds.json",
    "validate": "validation.json",
    "bench": "bench.json",
    "gates": "gates.json",
    "report": "report.html",
}
STAND_IN = f"""#!{sys.executable}
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
stage, scenario = sys.argv[1:3]
if stage == "stages":
    from pipeline.scenario import load_scenario
    from pipeline.stage_inputs import write_stage_inputs
    write_stage_inputs(load_scenario(scenario), "build")
else:
    place = Path("build") / Path(scenario).stem / {LEAVES!r}[stage]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text('{{"ok": true}}')
    with open("called", "a") as called:
        print(stage, file=called)
"""


class Checkout:
    """A folder with the Makefile, the scenarios, empty packages, and an environment that is ready."""

    def __init__(self, folder: Path):
        self.folder = folder
        for package in ("pipeline", "keras_models", "tflite/report"):
            (folder / package).mkdir(parents=True)
            (folder / package / "__init__.py").touch()
        for name in ("Makefile", "pyproject.toml", "requirements.lock", "installer.lock"):
            shutil.copy(ROOT / name, folder / name)
        shutil.copytree(ROOT / "scenarios", folder / "scenarios")
        command = folder / ".venv/bin/edgernn"
        command.parent.mkdir(parents=True)
        command.write_text(STAND_IN)
        command.chmod(0o755)
        (folder / ".venv/ready").touch()

    def make(self, *arguments: str) -> list[str]:
        """The stages that ran, in order."""
        called = self.folder / "called"
        called.unlink(missing_ok=True)
        subprocess.run(["make", *arguments], cwd=self.folder, check=True, capture_output=True, env=clean_environment())
        return called.read_text().split() if called.exists() else []

    def change(self, old: str, new: str) -> None:
        """An edit of the scenario, made later than everything there is."""
        path = self.folder / "scenarios/demand.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        latest = max(p.stat().st_mtime for p in self.folder.rglob("*"))
        os.utime(path, (latest + 1, latest + 1))


def clean_environment() -> dict[str, str]:
    """Without what an outer make hands down."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}


@pytest.fixture
def checkout(tmp_path):
    if shutil.which("make") is None:
        pytest.skip("no make on this machine")
    checkout = Checkout(tmp_path)
    checkout.first = checkout.make()
    return checkout


def test_the_default_is_the_whole_road_of_demand_and_truck(checkout):
    assert checkout.first == list(LEAVES) * 2
    assert (checkout.folder / "build/demand/gates.passed").exists()
    assert (checkout.folder / "build/truck/gates.passed").exists()


def test_one_scenario_alone(checkout):
    assert checkout.make("SCENARIO=skab") == list(LEAVES)
    assert (checkout.folder / "build/skab/gates.passed").exists()


def test_a_second_make_does_nothing(checkout):
    assert checkout.make() == []
    assert subprocess.run(["make", "-q"], cwd=checkout.folder, env=clean_environment()).returncode == 0


@pytest.mark.parametrize(
    "old, new, again",
    [
        ("Hourly bike-share", "The hourly bike-share", []),
        ("bytes = 16000", "bytes = 15999", ["gates", "report"]),
        ("[budgets]", '[card]\nlimits = ["One city."]\n\n[budgets]', ["gates", "report"]),
        ("epochs = 4\n", "epochs = 5\n", list(LEAVES)[2:]),
        ("units = 40", "units = 41", list(LEAVES)[1:]),
        ("length = 1440", "length = 1439", list(LEAVES)),
    ],
)
def test_a_change_redoes_what_reads_it(checkout, old, new, again):
    checkout.change(old, new)
    assert checkout.make() == again
    assert checkout.make() == []


@pytest.mark.parametrize(("activations", "first"), [("auto", 2), ("int8", list(LEAVES).index("gates"))])
def test_the_budget_that_chooses_the_form_is_read_by_quantize(checkout, activations, first):
    checkout.change("activations = ", f'activations = "{activations}" # ')
    checkout.make()
    checkout.change("metric_loss = 0.01", "metric_loss = 0.02")
    assert checkout.make() == list(LEAVES)[first:]


def test_a_broken_gate_fails_after_the_report(checkout):
    (checkout.folder / "build/demand/gates.json").write_text('{"ok": false}')
    (checkout.folder / "build/demand/gates.passed").unlink()
    with pytest.raises(subprocess.CalledProcessError):
        broken = checkout.folder / ".venv/bin/edgernn"
        broken.write_text(STAND_IN.replace('"ok": true', '"ok": false') + "\nsys.exit(stage == 'gates')\n")
        checkout.make()
    assert (checkout.folder / "build/demand/report.html").exists()
    assert not (checkout.folder / "build/demand/gates.passed").exists()
