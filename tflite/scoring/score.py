"""The score command: history and a .tflite -> scores as Parquet, the same bytes however the work is cut."""

import hashlib
import re
from collections.abc import Sequence
from os import PathLike

import numpy as np
import pyarrow as pa

from pipeline.atomic_write import atomic_write, write_json
from pipeline.beam_job import run_job
from pipeline.facts import FACTS, Facts, WriteFacts, problem
from pipeline.place import join
from pipeline.quiet_beam import beam
from pipeline.stored_files import file_names, remove_files
from pipeline.user_error import UserError
from tflite.runtimes import load_model, probe
from tflite.runtimes.step_runtime import TensorSpec
from tflite.scoring.history import History, ReadHistory, check_history
from tflite.scoring.litert_handler import Inputs, LiteRTHandler
from tflite.scoring.quiet_inference import PredictionResult, RunInference
from tflite.scoring.score_shards import WriteScores

FACTS_FILE = ".facts.jsonl"
MANIFEST = "scores.json"
KILLED = re.compile(r"\.part-.*\.tmp")  # left by a run that was killed


def score(
    model: bytes,
    inputs: Inputs,
    history: History,
    folder: str | PathLike,
    runner: str = "FnApiRunner",
    runner_options: Sequence[str] = (),
    **options: str,
) -> str:
    """Steps `model` over every segment of the history from a reset and writes what it says.

    Args:
        model: bytes of a .tflite. inputs: which of the history's columns each of its inputs takes.
        folder: gets scores/*.parquet (stream, time, segment, then an output per column; sorted by stream and time, a
            stream whole in one file) and, last, scores.json.
        options: of `tflite.runtimes.load_model`.

    Returns:
        The place of scores.json: while it is absent the scores are not whole.

    Raises:
        UserError: the model, the history, the runner or the folder cannot be used.
    """
    folder = join(folder)
    check_history(history)
    probe(model, **options)
    loaded = load_model(model, **options)
    _check_inputs(loaded.inputs, inputs)
    _begin(folder)
    handler, schema = LiteRTHandler(model, inputs, **options), score_schema(loaded.outputs)
    run_job(lambda pipeline: _wire(pipeline, handler, history, folder, schema), runner, runner_options)
    facts = Facts.read(join(folder, FACTS_FILE))
    remove_files(folder, [FACTS_FILE])
    for wrong in facts.problems("history", "model", "write"):
        raise UserError(wrong)
    if facts.total("steps") == 0:
        raise UserError(f"{history.paths[0]}: no row, nor in any other file of the history; give rows to score")
    written = join(folder, "scores")
    remove_files(written, [name for name in file_names(written) if KILLED.fullmatch(name)])
    content = {
        "model_sha256": hashlib.sha256(model).hexdigest(),
        "columns": list(history.columns),
        **{name: facts.total(name) for name in ("streams", "segments", "steps")},
        "files": facts.of("file"),
    }
    write_json(join(folder, MANIFEST), content)
    return join(folder, MANIFEST)


def score_schema(outputs: Sequence[TensorSpec]) -> pa.Schema:
    """A column per output: a number, or a list of fixed length where it has several."""
    return pa.schema(
        [("stream", pa.string()), ("time", pa.timestamp("ms")), ("segment", pa.int32())]
        + [(spec.name, _column_type(spec)) for spec in outputs]
    )


def _column_type(spec: TensorSpec) -> pa.DataType:
    kind = pa.from_numpy_dtype(np.dtype("float32" if spec.is_quantized else spec.dtype))
    width = int(np.prod(spec.shape))
    return kind if width == 1 else pa.list_(kind, width)


def _check_inputs(specs: Sequence[TensorSpec], inputs: Inputs) -> None:
    given = {name: len(columns) for name, columns in inputs}
    for spec in specs:
        width = int(np.prod(spec.shape))
        if given.get(spec.name) != width:
            raise UserError(
                f"input {spec.name}: the model reads {width} columns, got {given.get(spec.name, 0)};"
                " name them in the model's order with --columns"
            )


def _begin(folder: str) -> None:
    """From here on there are no scores until the new ones are whole."""
    with atomic_write(join(folder, FACTS_FILE)) as trial:  # not after hours: nothing can be written there
        trial.touch()
    remove_files(folder, [MANIFEST, FACTS_FILE])


def _wire(pipeline: beam.Pipeline, handler: LiteRTHandler, history: History, folder: str, schema: pa.Schema) -> None:
    """Wires the job; all results are files below `folder`."""
    read = pipeline | "History" >> ReadHistory(history)
    scored = (
        read.segments
        | "Spread" >> beam.Reshuffle()
        | "Score" >> RunInference(handler)
        | "Table" >> beam.ParDo(_ToTable(schema)).with_outputs(FACTS, main="tables")
    )
    written = scored.tables | "Write" >> WriteScores(folder, schema)
    (
        (read[FACTS], scored[FACTS], written)
        | "Facts" >> beam.Flatten()
        | "WriteFacts" >> WriteFacts(join(folder, FACTS_FILE))
    )


class _ToTable(beam.DoFn):
    """PredictionResult -> table, or the fact that the model refused the segment."""

    def __init__(self, schema: pa.Schema):
        self.schema = schema

    def process(self, result: PredictionResult):
        segment, outputs = result.example, result.inference
        if isinstance(outputs, UserError):
            yield beam.pvalue.TaggedOutput(FACTS, problem("model", str(outputs)))
            return
        size = len(segment.times)
        times = pa.array(segment.times).cast(pa.timestamp("ms"))
        columns = [pa.repeat(segment.stream, size), times, pa.repeat(pa.scalar(segment.number, pa.int32()), size)]
        for field in self.schema:
            if field.name in outputs:
                flat = pa.array(outputs[field.name].reshape(-1))
                is_list = pa.types.is_fixed_size_list(field.type)
                columns.append(pa.FixedSizeListArray.from_arrays(flat, field.type.list_size) if is_list else flat)
        yield pa.table(columns, schema=self.schema)
