"""LiteRT as a model of Beam's RunInference: an element is a whole stream, its state carried from step to step.

What the model says is written where it arises, block by block: a year of one vehicle does not fit through an engine.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.facts import Fact, problem
from pipeline.user_error import UserError
from tflite.runtimes import StepRuntime, load_model
from tflite.scoring.deal_history import MARK, TIME, Piece
from tflite.scoring.quiet_inference import ModelHandler, PredictionResult
from tflite.scoring.score_files import score_file
from tflite.scoring.segment_numbers import SegmentNumbers
from tflite.scoring.time_order import blocks_in_time_order

Inputs = tuple[tuple[str, tuple[int, ...]], ...]  # of each input its name and which of the history's columns it takes


@dataclass(frozen=True)
class Stream:
    """One vehicle: its name and where its rows lie, in any order."""

    name: str
    pieces: tuple[Piece, ...]


class StepModel:
    """The model of one worker process: a runtime for each thread, for a runtime holds the state of one stream."""

    def __init__(self, model: bytes, options: dict[str, Any]):
        self._model, self._options, self._own = model, options, threading.local()

    @property
    def runtime(self) -> StepRuntime:
        if not hasattr(self._own, "runtime"):
            self._own.runtime = load_model(self._model, **self._options)
        return self._own.runtime


class LiteRTHandler(ModelHandler[Stream, PredictionResult, StepModel]):
    """`Stream` -> PredictionResult, whose inference is the facts about the file of scores that was written.

    Args:
        model: the bytes of a .tflite; they travel with the job, a worker needs no file.
        inputs: which columns each input takes.
        max_gap_ms: a longer hole starts from a reset; None: no hole does.
        folder: where rows were dealt to and scores go.
        options: of `tflite.runtimes.load_model`, e.g. runtime, kernels.
    """

    def __init__(self, model: bytes, inputs: Inputs, max_gap_ms: int | None, folder: str, **options: Any):
        super().__init__(min_batch_size=1, max_batch_size=1)  # a stream is long; nothing is gained by waiting
        self._model, self._inputs, self._options = model, inputs, options
        self._max_gap_ms, self._folder = max_gap_ms, folder

    def load_model(self) -> StepModel:
        return StepModel(self._model, self._options)

    def run_inference(
        self, batch: Sequence[Stream], model: StepModel, inference_args: dict[str, Any] | None = None
    ) -> Iterable[PredictionResult]:
        return [PredictionResult(stream, self._score(stream, model.runtime)) for stream in batch]

    def get_num_bytes(self, batch: Sequence[Stream]) -> int:
        return sum(len(piece.name) for stream in batch for piece in stream.pieces)

    def get_metrics_namespace(self) -> str:
        return "edgernn"

    def _score(self, stream: Stream, runtime: StepRuntime) -> list[Fact]:
        segments = SegmentNumbers(self._max_gap_ms)
        try:
            with score_file(self._folder, stream.name, runtime.outputs) as file:
                for block in blocks_in_time_order(stream.name, stream.pieces, self._folder):
                    times = block[TIME].to_numpy()
                    numbers, begins = segments.of(times, block[MARK].to_numpy())
                    file.add(times, numbers, self._said(stream, runtime, readings(block), begins))
        except UserError as error:
            return [problem("model", str(error))]
        return file.facts()

    def _said(self, stream: Stream, runtime: StepRuntime, x: np.ndarray, begins: np.ndarray) -> dict[str, np.ndarray]:
        try:
            return run_block(runtime, x, begins, self._inputs)
        except UserError as error:
            raise UserError(f'stream "{stream.name}": {error}') from error


def readings(block: pa.RecordBatch) -> np.ndarray:
    """(rows, columns) float32: what the model reads, the history's columns in their order."""
    return np.stack([block[name].to_numpy() for name in block.schema.names[2:]], axis=1)


def run_block(runtime: StepRuntime, x: np.ndarray, begins: np.ndarray, inputs: Inputs) -> dict[str, np.ndarray]:
    """Every output of the steps that follow those of the block before, (steps, width) by name.

    Args:
        x: (steps, columns) float32. begins: (steps,) whether a step is the first after a reset.
    """
    dtypes = {spec.name: "float32" if spec.is_quantized else spec.dtype for spec in runtime.inputs}
    parts = [(name, x[:, list(columns)].astype(dtypes[name])) for name, columns in inputs]
    single_in, names = len(inputs) == 1, [spec.name for spec in runtime.outputs]
    outputs = [np.empty((len(x), int(np.prod(spec.shape))), _real(spec)) for spec in runtime.outputs]
    for step, first in enumerate(begins.tolist()):
        if first:
            runtime.reset()
        given = parts[0][1][step] if single_in else {name: values[step] for name, values in parts}
        said = runtime.step(given)
        for name, values in zip(names, outputs, strict=True):
            values[step] = np.reshape(said[name] if len(names) > 1 else said, -1)
    return dict(zip(names, outputs, strict=True))


def _real(spec) -> str:
    return "float32" if spec.is_quantized else spec.dtype
