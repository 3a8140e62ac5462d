"""The command `edgernn`: one subcommand per stage of the road from raw rows to a proven model on the device.

Exit status: 0 done, 1 a budget is broken, 2 the input is wrong (one line says what), 130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline import __main__ as preprocess_stage
from pipeline.exit_status import exit_status
from pipeline.native_stderr import withheld_stderr
from pipeline.scenario import Scenario, load_scenario
from pipeline.stage_inputs import write_stage_inputs

# Each stage is imported when it runs: TensorFlow takes seconds, and a wrong scenario file must be told at once.


def start_tensorflow() -> None:
    """Imports TensorFlow without its start-up lines."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its rounding depends on the machine
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    with withheld_stderr():
        import tensorflow

        tensorflow.constant(0)


def stages(scenario: Scenario, build: Path) -> None:
    """note what each stage reads of the scenario, so that make redoes only what a change concerns"""
    write_stage_inputs(scenario, build)


def train(scenario: Scenario, build: Path) -> None:
    """train the float model"""
    start_tensorflow()
    from keras_models.train import train

    print(f"{scenario.name}: {train(scenario, build)}")


def quantize(scenario: Scenario, build: Path) -> None:
    """calibrate and fine-tune the model quantization-aware"""
    start_tensorflow()
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


def bench(scenario: Scenario, build: Path) -> None:
    """time a step of the shipped model against ONNX Runtime, in one run"""
    start_tensorflow()
    from tflite.bench_scenario import bench_scenario

    print(f"{scenario.name}: {bench_scenario(scenario, build)}")


def convert(arguments: argparse.Namespace) -> None:
    """convert a scenario's models, or a .keras file, to a model of one time step"""
    start_tensorflow()
    if Path(arguments.what).suffix != ".keras":
        from tflite.convert_scenario import convert_scenario

        scenario = load_scenario(arguments.what)
        print(f"{scenario.name}: {convert_scenario(scenario, arguments.build)}")
        return
    from tflite.convert_file import convert_file

    print(convert_file(Path(arguments.what), arguments.activations, arguments.representative, Path(arguments.out)))


def validate(arguments: argparse.Namespace) -> None:
    """prove a scenario's models, or any .tflite with a signature `step`, on LiteRT and TFLite Micro"""
    if Path(arguments.what).suffix != ".tflite":
        from tflite.validate_scenario import validate_scenario

        scenario = load_scenario(arguments.what)
        print(f"{scenario.name}: {validate_scenario(scenario, arguments.build)}")
        return
    from tflite.validate_file import validate_file

    validate_file(Path(arguments.what))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    main = argparse.ArgumentParser(prog="edgernn", description=__doc__.split("\n")[0])
    commands = main.add_subparsers(required=True, metavar="stage")
    first = commands.add_parser("preprocess", help="bring raw rows into windows and streams with Apache Beam")
    preprocess_stage.add_arguments(first)
    first.set_defaults(run=preprocess_stage.run)
    for stage in (stages, train, quantize, gates, report, bench):
        sub = commands.add_parser(stage.__name__, help=stage.__doc__)
        sub.add_argument("scenario", help="scenario file (TOML)")
        _add_build(sub)
        sub.set_defaults(run=_of_scenario(stage))
    for stage in (convert, validate):
        sub = commands.add_parser(stage.__name__, help=stage.__doc__)
        kind = ".keras" if stage is convert else ".tflite"
        sub.add_argument("what", metavar="scenario", help=f"scenario file (TOML), or a {kind} file")
        _add_build(sub)
        sub.set_defaults(run=stage)
        if stage is convert:
            sub.add_argument("--activations", default="int8", choices=("float32", "int8"), help="of a .keras file")
            sub.add_argument(
                "--representative",
                metavar="NPY",
                type=Path,
                help="array (streams, timesteps, features) to calibrate a plain .keras file by",
            )
            sub.add_argument("--out", default=".", metavar="DIR", help="where the artefact of a .keras file goes")
    return main


def _add_build(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--build", type=Path, default=Path("build"), metavar="DIR", help="where results go (default: build)"
    )


def _of_scenario(stage: Callable) -> Callable[[argparse.Namespace], int | None]:
    return lambda arguments: stage(load_scenario(arguments.scenario), arguments.build)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one subcommand; see the module for the exit status."""
    arguments = parser().parse_args(argv)
    return exit_status(lambda: arguments.run(arguments))


if __name__ == "__main__":
    sys.exit(main())
