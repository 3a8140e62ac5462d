"""The score command: history and a .tflite -> scores as Parquet, the same bytes however the work is cut."""

import hashlib
from collections.abc import Iterable, Sequence
from os import PathLike

import numpy as np

from pipeline.atomic_write import write_json
from pipeline.beam_job import run_job
from pipeline.dealt_rows import DEALT
from pipeline.facts import FACTS, Facts, WriteFacts
from pipeline.place import join
from pipeline.quiet_beam import beam
from pipeline.result_folder import FACTS_FILE, begin_results
from pipeline.stored_files import file_names, remove_files, remove_folder
from pipeline.user_error import UserError
from tflite.runtimes import load_model, probe
from tflite.runtimes.step_runtime import TensorSpec
from tflite.scoring.deal_history import DealHistory, Piece
from tflite.scoring.history import History, check_history
from tflite.scoring.litert_handler import Inputs, LiteRTHandler, Stream
from tflite.scoring.quiet_inference import RunInference
from tflite.scoring.score_files import KILLED, NAME, SCORES

MANIFEST = "scores.json"


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
        folder: gets scores/*.parquet (a file for each stream: stream, time, segment, then an output per column; by
            time) and, last, scores.json.
        options: of `tflite.runtimes.load_model`.

    Returns:
        The place of scores.json: while it is absent the scores are not whole.

    Raises:
        UserError: the model, the history, the runner or the folder cannot be used.
    """
    folder = join(folder)
    check_history(history)
    probe(model, **options)
    _check_inputs(load_model(model, **options).inputs, inputs)
    begin_results(folder, MANIFEST)
    handler = LiteRTHandler(model, inputs, history.max_gap_ms, folder, **options)
    try:
        run_job(lambda pipeline: _wire(pipeline, handler, history, folder), runner, runner_options)
    finally:
        remove_folder(join(folder, DEALT))
    facts = Facts.read(join(folder, FACTS_FILE))
    remove_files(folder, [FACTS_FILE])
    for wrong in facts.problems("history", "model"):
        raise UserError(wrong)
    if facts.total("steps") == 0:
        raise UserError(f"{history.paths[0]}: no row, nor in any other file of the history; give rows to score")
    _remove_stale(folder, facts.of("file"))
    content = {
        "model_sha256": hashlib.sha256(model).hexdigest(),
        "columns": list(history.columns),
        **{name: facts.total(name) for name in ("streams", "segments", "steps")},
        "files": facts.of("file"),
    }
    write_json(join(folder, MANIFEST), content)
    return join(folder, MANIFEST)


def _check_inputs(specs: Sequence[TensorSpec], inputs: Inputs) -> None:
    given = {name: len(columns) for name, columns in inputs}
    for spec in specs:
        width = int(np.prod(spec.shape))
        if given.get(spec.name) != width:
            raise UserError(
                f"input {spec.name}: the model reads {width} columns, got {given.get(spec.name, 0)};"
                " name them in the model's order with --columns"
            )


def _remove_stale(folder: str, files: dict[str, str]) -> None:
    """Takes away scores of streams of other runs and leftovers of killed ones."""
    written = join(folder, SCORES)
    stale = [name for name in file_names(written) if NAME.fullmatch(name) and f"{SCORES}/{name}" not in files]
    killed = [name for name in file_names(written) if KILLED.fullmatch(name)]
    remove_files(written, stale + killed)


def _wire(pipeline: beam.Pipeline, handler: LiteRTHandler, history: History, folder: str) -> None:
    """Wires the job; all results are files below `folder`."""
    dealt = pipeline | "Files" >> beam.Create(history.paths) | "Deal" >> DealHistory(history, folder)
    scored = (
        dealt.pieces
        | "Streams" >> beam.GroupByKey()
        | "Stream" >> beam.MapTuple(_stream)
        | "Score" >> RunInference(handler)
        | "Written" >> beam.FlatMap(lambda result: result.inference)
    )
    (
        (dealt[FACTS], scored)
        | "Facts" >> beam.Flatten()
        | "WriteFacts" >> WriteFacts(join(folder, FACTS_FILE))
    )


def _stream(name: str, pieces: Iterable[Piece]) -> Stream:
    return Stream(name, tuple(sorted(pieces)))
