"""The command `edgernn`: one subcommand per stage of the road from raw rows to a proven model on the device.

Exit status: 0 done, 1 a budget is broken, 2 the input is wrong (one line says what), 130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_models.kept_memory import keep_memory
from pipeline import __main__ as preprocess_stage
from pipeline.beam_options import parse_with_beam_options
from pipeline.dataset_folder import local_build
from pipeline.exit_status import exit_status
from pipeline.native_stderr import withheld_stderr
from pipeline.scenario import Scenario, load_scenario
from pipeline.stage_inputs import write_stage_inputs
from pipeline.user_error import UserError

# Each stage is imported when it runs: TensorFlow takes seconds, and a wrong scenario file must be told at once.

KERAS_FILES = (".keras", ".h5")
TRAINING = ("train", "quantize", "seeds", "against-transformer", "horizon", "slow", "bench-qat")


def set_up_tensorflow() -> None:
    """How TensorFlow is to run, in this process and its children."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its rounding depends on the machine
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


def start_tensorflow() -> None:
    """Imports TensorFlow without its start-up lines."""
    set_up_tensorflow()
    with withheld_stderr():
        import tensorflow

        tensorflow.constant(0)
    tensorflow.get_logger().setLevel("ERROR")  # a command that runs many models is told that it traces often


def simulate(arguments: argparse.Namespace) -> None:
    """simulate a fleet of trucks with labelled faults"""
    from pipeline.fleet.fleet_settings import read_settings
    from pipeline.fleet.write_fleet import write_fleet

    names = ("vehicles", "hours", "seed", "healthy_hours", "fault_hours", "first")
    settings = read_settings({name: getattr(arguments, name) for name in names})
    paths = write_fleet(settings, arguments.folder, arguments.format)
    rows = len(paths) * settings.seconds
    print(f"{arguments.folder}: {rows:,} rows of {len(paths):,} vehicles in rows/, faults in labels.parquet")


def stages(scenario: Scenario, build: Path) -> None:
    """note what each stage reads of the scenario, so that make redoes only what a change concerns"""
    write_stage_inputs(scenario, build)


def train(scenario: Scenario, build: Path) -> None:
    """train the float model"""
    start_tensorflow()
    if scenario.task == "translate":
        from keras_models.translation.train_translator import train_translator

        print(f"{scenario.name}: {train_translator(scenario, build)}")
        return
    from keras_models.train import train
    from tflite.file_bytes import file_bytes

    print(f"{scenario.name}: {train(scenario, build, file_bytes)}")


def quantize(scenario: Scenario, build: Path) -> None:
    """calibrate and fine-tune the model quantization-aware"""
    start_tensorflow()
    if scenario.task == "translate":
        from keras_models.translation.finetune_translator import finetune_translator as finetune_qat
    else:
        from keras_models.finetune_qat import finetune_qat

    print(f"{scenario.name}: {finetune_qat(scenario, build)}")


def report(scenario: Scenario, build: Path) -> None:
    """write report.html"""
    from tflite.report import write_report

    print(f"{scenario.name}: {write_report(scenario, build)}")


def gates(scenario: Scenario, build: Path) -> int:
    """compare what was measured with the budgets of the scenario; exit status 1 if one is broken"""
    from tflite.budgets import gates

    return 0 if gates(scenario, build) else 1


def bench(arguments: argparse.Namespace) -> None:
    """time a step of a scenario's shipped model, or of a .keras file, against ONNX Runtime, in one run"""
    what = Path(arguments.what)
    if what.suffix in KERAS_FILES:
        representative = _representative(what, arguments)
        start_tensorflow()
        from tflite.bench_file import bench_file

        print(bench_file(what, representative, arguments.build))
        return
    scenario = load_scenario(what)
    start_tensorflow()
    if scenario.task == "translate":
        from tflite.translation.bench_stage import bench_stage as bench_scenario
    else:
        from tflite.bench_scenario import bench_scenario

    print(f"{scenario.name}: {bench_scenario(scenario, arguments.build)}")


def convert(arguments: argparse.Namespace) -> None:
    """convert a scenario's models, or a .keras file, to a model of one time step"""
    if Path(arguments.what).suffix not in KERAS_FILES:
        scenario = load_scenario(arguments.what)
        start_tensorflow()
        if scenario.task == "translate":
            from tflite.translation.convert_stage import convert_stage as convert_scenario
        else:
            from tflite.convert_scenario import convert_scenario

        print(f"{scenario.name}: {convert_scenario(scenario, arguments.build)}")
        return
    set_up_tensorflow()  # for the child process
    from tflite.convert_file import convert_file

    options = {name: getattr(arguments, name) for name in ("state", "state_dtype", "weights", "name")}
    what, out = Path(arguments.what), Path(arguments.out)
    print(convert_file(what, arguments.activations, arguments.representative, out, **options))


def validate(arguments: argparse.Namespace) -> int | None:
    """prove a scenario's models, or any .tflite of one time step, on LiteRT and TFLite Micro"""
    if Path(arguments.what).suffix != ".tflite":
        scenario = load_scenario(arguments.what)
        if scenario.task == "translate":
            start_tensorflow()  # the float model is run in Keras
            from tflite.translation.validate_stage import validate_stage as validate_scenario
        else:
            from tflite.validate_scenario import validate_scenario

        print(f"{scenario.name}: {validate_scenario(scenario, arguments.build)}")
        return
    from tflite.validate_file import validate_file

    return 0 if validate_file(Path(arguments.what)) else 1


def translate(arguments: argparse.Namespace) -> None:
    """translate sentences with a converted model; without any, the lines of standard input"""
    from tflite.translation.translate import translate

    folder = arguments.model or Path(arguments.build) / "translate" / "tflite"
    translate(arguments.sentences or (line.rstrip("\n") for line in sys.stdin), Path(folder), arguments.beam)


def codegen(arguments: argparse.Namespace) -> None:
    """write a .tflite of one time step, or the folder of an artefact, as portable C99"""
    from tflite.codegen.codegen import codegen

    print(codegen(Path(arguments.model), Path(arguments.out), arguments.name, arguments.reading))


def micro(arguments: argparse.Namespace) -> None:
    """write what TensorFlow Lite Micro compiles in: model array, op resolver, arena size, golden steps"""
    from tflite.micro.micro import micro

    print(micro(Path(arguments.model), Path(arguments.out), arguments.name))


def android_assets(arguments: argparse.Namespace) -> None:
    """write the assets of the Android app: artefacts of scenarios, recorded telemetry and what the models say of it"""
    from tflite.phone.android_assets import android_assets

    scenarios = [load_scenario(path) for path in arguments.scenarios]
    print(android_assets(scenarios, arguments.build, Path(arguments.out)))


def ethos_u(arguments: argparse.Namespace) -> None:
    """print what Arm's compiler for the Ethos-U NPUs estimates of a .tflite of one time step"""
    from tflite.ethos_u import ethos_u

    ethos_u(Path(arguments.model), arguments.accelerator)


def score(arguments: argparse.Namespace) -> None:
    """run a scenario's model, or any .tflite of one time step, over recorded history on Apache Beam"""
    job = {"runner": arguments.runner, "runner_options": arguments.beam, "kernels": arguments.kernels}
    if arguments.history is None:
        from tflite.scoring.score_scenario import score_scenario

        scenario = load_scenario(arguments.what)
        _require_stream(scenario, "score")
        print(f"{scenario.name}: {score_scenario(scenario, arguments.build, **job)}")
        return
    from tflite.scoring.score_file import score_file

    given = {name: getattr(arguments, name) for name in ("time", "stream", "max_gap_seconds")}
    columns = arguments.columns.split(",") if arguments.columns else None
    print(score_file(arguments.what, arguments.history, arguments.out, columns=columns, **given, **job))


def matrix(arguments: argparse.Namespace) -> int:
    """prove every cell in every form and print the table; exit status 1 if one fails"""
    start_tensorflow()
    from tflite.matrix import matrix

    return 0 if matrix(arguments.build) else 1


def slow(arguments: argparse.Namespace) -> None:
    """measure how slow states stall in every integer form, on a moving average"""
    start_tensorflow()
    from tflite.studies.slow_dynamics import slow_dynamics

    print(slow_dynamics(arguments.build))


def generated_c(arguments: argparse.Namespace) -> int:
    """stream generated C beside TensorFlow Lite Micro for 100,000 steps in every form; exit status 1 if one differs"""
    start_tensorflow()
    from tflite.studies.generated_c import generated_c

    return 0 if generated_c(arguments.build) else 1


def arm64(arguments: argparse.Namespace) -> int:
    """run models on emulated ARM64; exit status 1 if LiteRT's own kernels or generated C give other integers there"""
    from tflite.arm64.emulated_litert import require_arm64

    require_arm64(arguments.build)
    start_tensorflow()
    from tflite.arm64.arm64 import arm64

    return 0 if arm64(arguments.build) else 1


def firmware(arguments: argparse.Namespace) -> int:
    """run models on emulated Cortex-M cores; exit status 1 if one differs from TensorFlow Lite Micro or the baseline"""
    from tflite.firmware.toolchain import require_tools

    require_tools()
    start_tensorflow()
    from tflite.firmware.firmware import firmware

    return 0 if firmware(arguments.record) else 1


def bench_step(arguments: argparse.Namespace) -> int:
    """time a bare step model against its rivals; exit status 1 if it is not as much faster as it should be"""
    start_tensorflow()
    from tflite.bench_step import bench_step

    return 0 if bench_step(arguments.build) else 1


def bench_qat(arguments: argparse.Namespace) -> None:
    """time an epoch of quantization-aware training against the plain Keras layers'"""
    start_tensorflow()
    from keras_models.bench_qat import bench_cells
    from keras_models.qat_model import quantize_aware
    from pipeline.atomic_write import write_json
    from tflite.bench import print_bench

    entries = bench_cells(quantize_aware)
    print_bench(entries)
    write_json(arguments.build / "bench_qat.json", entries)


def bench_fleet(arguments: argparse.Namespace) -> None:
    """time the simulation of a fleet"""
    from pipeline.atomic_write import write_json
    from pipeline.fleet.bench_fleet import bench_fleet
    from tflite.bench import print_bench

    entries = [bench_fleet()]
    print_bench(entries)
    write_json(arguments.build / "bench_fleet.json", entries)


def bench_preprocess(arguments: argparse.Namespace) -> None:
    """time the preprocess stage against scripts in pyarrow and polars on made-up rows, and on ten times as many"""
    from pipeline.atomic_write import write_json
    from pipeline.bench.bench_preprocess import bench_preprocess
    from tflite.bench import print_bench

    entries = bench_preprocess()
    print_bench(entries)
    write_json(arguments.build / "bench_preprocess.json", entries)


def seeds(scenario: Scenario, build: Path) -> None:
    """train a scenario with several seeds: what quantization costs, and what fine-tuning gives back"""
    start_tensorflow()
    if scenario.task == "translate":
        from tflite.translation.seeds_stage import seeds_stage as seeds
    else:
        from tflite.studies.seeds import seeds

    print(f"{scenario.name}: {seeds(scenario, build)}")


def long_run(scenario: Scenario, build: Path) -> None:
    """stream a forecaster for 100,000 steps without a reset: whether errors of a quantized state add up"""
    start_tensorflow()
    from tflite.studies.long_run import long_run

    print(f"{scenario.name}: {long_run(scenario, build)}")


def against_transformer(scenario: Scenario, build: Path) -> None:
    """train a Transformer of as many parameters, and compare memory, time and quality"""
    start_tensorflow()
    from tflite.studies.against_transformer import against_transformer

    print(f"{scenario.name}: {against_transformer(scenario, build)}")


def horizon(arguments: argparse.Namespace) -> None:
    """measure how far back a trained model, and each kind of cell, remembers"""
    what = Path(arguments.what)
    if what.suffix in KERAS_FILES:
        representative = _representative(what, arguments)
        start_tensorflow()
        from tflite.studies.memory_horizon import file_horizon

        print(file_horizon(what, arguments.build, representative))
        return
    scenario = load_scenario(what)
    start_tensorflow()
    from tflite.studies.memory_horizon import scenario_horizon

    print(f"{scenario.name}: {scenario_horizon(scenario, arguments.build)}")


def _representative(what: Path, arguments: argparse.Namespace) -> Path:
    """The streams a Keras file is run over; a scenario has its own."""
    if arguments.representative is None:
        raise UserError(f"{what}: expected --representative NPY, an array (streams, timesteps, features) it reads")
    return arguments.representative


def fault_limits(scenario: Scenario, build: Path) -> None:
    """how soon the faults of a scenario's fleet could be noticed by one who knows what the sound truck would say"""
    from pipeline.atomic_write import write_json
    from pipeline.fleet.fault_limits import fault_limits, print_limits

    if scenario.fleet is None:
        raise UserError(f'{scenario.path}: data.set: expected "fleet", the simulated trucks; others hide their faults')
    limits = fault_limits(scenario.fleet)
    print_limits(limits, scenario.name)
    write_json(build / scenario.name / "fault_limits.json", limits)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    main = argparse.ArgumentParser(prog="edgernn", description=__doc__.split("\n")[0])
    commands = main.add_subparsers(required=True, metavar="stage", dest="stage")
    first = commands.add_parser("preprocess", help="bring raw rows into windows and streams with Apache Beam")
    preprocess_stage.add_arguments(first)
    first.set_defaults(run=preprocess_stage.run)
    _add_simulation(commands.add_parser("simulate", help=simulate.__doc__))
    for stage in (stages, train, quantize, gates, report, seeds, long_run, against_transformer, fault_limits):
        sub = commands.add_parser(stage.__name__.replace("_", "-"), help=stage.__doc__)
        sub.add_argument("scenario", help="scenario file (TOML)")
        _add_build(sub)
        sub.set_defaults(run=_of_scenario(stage))
    for stage in (convert, validate):
        sub = commands.add_parser(stage.__name__, help=stage.__doc__)
        kind = ".keras or .h5" if stage is convert else ".tflite"
        sub.add_argument("what", metavar="scenario", help=f"scenario file (TOML), or a {kind} file")
        _add_build(sub)
        sub.set_defaults(run=stage)
        if stage is convert:
            _add_conversion(sub)
    for stage, files in ((codegen, "<name>.h and <name>.c go"), (micro, "<name>_model.cc and the others go")):
        sub = commands.add_parser(stage.__name__, help=stage.__doc__)
        sub.add_argument("model", help=".tflite, or a folder with artifact.json")
        sub.add_argument("--out", default=".", metavar="DIR", help=f"where {files} (default: here)")
        sub.add_argument("--name", help="of the model in C (default: that of the file)")
        if stage is codegen:
            what = "an input that is no state, though an output of its form stands at its place"
            sub.add_argument("--reading", action="append", default=[], metavar="NAME", help=what)
        sub.set_defaults(run=stage)
    for stage in (bench, horizon):
        sub = commands.add_parser(stage.__name__, help=stage.__doc__)
        sub.add_argument("what", metavar="scenario", help="scenario file (TOML), or a .keras or .h5 file")
        sub.add_argument("--representative", metavar="NPY", type=Path, help="of a file: (streams, timesteps, features)")
        _add_build(sub)
        sub.set_defaults(run=stage)
    sub = commands.add_parser("firmware", help=firmware.__doc__)
    sub.add_argument("--record", action="store_true", help="make what is measured the baseline")
    sub.set_defaults(run=firmware)
    sub = commands.add_parser("android-assets", help=android_assets.__doc__)
    sub.add_argument("scenarios", nargs="+", metavar="scenario", help="scenario files (TOML)")
    sub.add_argument("--out", required=True, metavar="DIR", help="assets of the app; nothing else is kept in it")
    _add_build(sub)
    sub.set_defaults(run=android_assets)
    _add_translation(commands.add_parser("translate", help=translate.__doc__))
    _add_ethos_u(commands.add_parser("ethos-u", help=ethos_u.__doc__))
    _add_scoring(commands.add_parser("score", help=score.__doc__))
    for study in (matrix, slow, generated_c, arm64, bench_step, bench_qat, bench_fleet, bench_preprocess):
        sub = commands.add_parser(study.__name__.replace("_", "-"), help=study.__doc__)
        _add_build(sub)
        sub.set_defaults(run=study)
    return main


def _add_build(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--build", default="build", metavar="DIR", help="where results go (default: build)")


def _add_simulation(sub: argparse.ArgumentParser) -> None:
    """What `pipeline.fleet` takes; a scenario says these in its table [fleet]."""
    sub.add_argument("folder", metavar="DIR", help="where rows/, labels.parquet and fleet.json go")
    sub.add_argument("--vehicles", type=int, default=10, help="default: 10")
    sub.add_argument("--hours", type=float, default=4.0, help="of each vehicle, a row a second (default: 4)")
    sub.add_argument("--seed", type=int, default=0, help="default: 0")
    sub.add_argument("--healthy-hours", type=float, default=1.0, help="before anything breaks (default: 1)")
    sub.add_argument("--fault-hours", type=float, default=1.0, help="mean from repair to next fault (default: 1)")
    sub.add_argument("--first", type=int, default=0, help="number of the first vehicle (default: 0)")
    sub.add_argument("--format", choices=("parquet", "csv"), default="parquet", help="default: parquet")
    sub.set_defaults(run=simulate)


def _add_conversion(sub: argparse.ArgumentParser) -> None:
    """What `tflite.convert` takes; a scenario says these itself."""
    group = sub.add_argument_group("of a .keras or .h5 file")
    group.add_argument("--activations", choices=("float32", "int8", "int16"), help="default: the model's own, or int8")
    group.add_argument("--state", default="external", choices=("external", "internal"), help="default: external")
    group.add_argument("--state-dtype", choices=("int8", "int16"), help="int16: slow dynamics, with int8 activations")
    group.add_argument("--weights", choices=("float32", "float16", "int8"), help="of a float32 model for the phone")
    group.add_argument(
        "--representative",
        metavar="NPY",
        type=Path,
        help="array (streams, timesteps, features) to calibrate a plain model by",
    )
    group.add_argument("--name", help="file name without .tflite (default: <file>_<activations>_<state>)")
    group.add_argument("--out", default=".", metavar="DIR", help="where the artefact goes (default: here)")


def _add_translation(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("sentences", nargs="*", metavar="SENTENCE", help="in quotes")
    sub.add_argument("--model", metavar="DIR", help="folder of an artefact (default: that of scenarios/translate.toml)")
    sub.add_argument("--beam", type=int, default=1, metavar="N", help="hypotheses kept (default: 1, greedy)")
    _add_build(sub)
    sub.set_defaults(run=translate)


def _add_ethos_u(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("model", help=".tflite, or a folder with artifact.json")
    sub.add_argument("--accelerator", default="ethos-u55-128", metavar="NAME", help="default: ethos-u55-128")
    sub.set_defaults(run=ethos_u)


def _add_scoring(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("what", metavar="scenario", help="scenario file (TOML), or a .tflite or the folder of an artefact")
    _add_build(sub)
    sub.add_argument("--kernels", default="default", choices=("default", "builtin", "reference"), help="of LiteRT")
    sub.add_argument("--runner", default="FnApiRunner", metavar="NAME", help="Beam runner (default: FnApiRunner)")
    group = sub.add_argument_group("of a .tflite or an artefact")
    group.add_argument("--history", metavar="PATH", help="Parquet file or folder, a row per step of the model")
    group.add_argument("--time", default="time", metavar="NAME", help="column with the time (default: time)")
    group.add_argument("--stream", metavar="NAME", help="column that names the vehicle (default: all rows are one)")
    group.add_argument("--columns", metavar="A,B,..", help="columns in the model's order (default: by artifact.json)")
    group.add_argument("--max-gap", dest="max_gap_seconds", type=float, metavar="S", help="a longer hole starts anew")
    group.add_argument("--out", default=".", metavar="DIR", help="where scores/ and scores.json go (default: here)")
    sub.set_defaults(beam=[], run=score)


def _of_scenario(stage: Callable) -> Callable[[argparse.Namespace], int | None]:
    def run(arguments: argparse.Namespace) -> int | None:
        scenario = load_scenario(arguments.scenario)
        if stage in (long_run, fault_limits):
            _require_stream(scenario, stage.__name__)
        return stage(scenario, arguments.build)

    return run


def _require_stream(scenario: Scenario, command: str) -> None:
    if scenario.task == "translate":
        name = command.replace("_", "-")
        raise UserError(f'{scenario.path}: task: `edgernn {name}` is for "forecast" and "anomaly", got "translate"')


def _run(arguments: argparse.Namespace) -> int | None:
    if hasattr(arguments, "build") and arguments.run is not preprocess_stage.run:
        arguments.build = local_build(arguments.build)
    return arguments.run(arguments)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one subcommand; see the module for the exit status."""
    arguments = parse_with_beam_options(parser(), sys.argv[1:] if argv is None else argv)
    if argv is None and arguments.stage in TRAINING:  # a process of its own
        keep_memory()
    return exit_status(lambda: _run(arguments))


if __name__ == "__main__":
    sys.exit(main())
