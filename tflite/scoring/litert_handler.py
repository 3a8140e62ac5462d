"""LiteRT as a model of Beam's RunInference: an element is a whole segment, its state carried from step to step."""

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pipeline.user_error import UserError
from tflite.runtimes import StepRuntime, load_model
from tflite.scoring.history import Segment
from tflite.scoring.quiet_inference import ModelHandler, PredictionResult

Inputs = tuple[tuple[str, tuple[int, ...]], ...]  # of each input its name and which columns of `Segment.x` it takes


class StepModel:
    """The model of one worker process: a runtime for each thread, for a runtime holds the state of one stream."""

    def __init__(self, model: bytes, options: dict[str, Any]):
        self._model, self._options, self._own = model, options, threading.local()

    @property
    def runtime(self) -> StepRuntime:
        if not hasattr(self._own, "runtime"):
            self._own.runtime = load_model(self._model, **self._options)
        return self._own.runtime


class LiteRTHandler(ModelHandler[Segment, PredictionResult, StepModel]):
    """`Segment` -> PredictionResult: outputs by name, (steps, width): the very bits of stepping it from a reset.

    The inference is a UserError where the model refuses the segment.

    Args:
        model: the bytes of a .tflite; they travel with the job, a worker needs no file.
        inputs: which columns of a segment each input takes.
        options: of `tflite.runtimes.load_model`, e.g. runtime, kernels.
    """

    def __init__(self, model: bytes, inputs: Inputs, **options: Any):
        super().__init__(min_batch_size=1, max_batch_size=1)  # a segment is long; nothing is gained by waiting
        self._model, self._inputs, self._options = model, inputs, options

    def load_model(self) -> StepModel:
        return StepModel(self._model, self._options)

    def run_inference(
        self, batch: Sequence[Segment], model: StepModel, inference_args: dict[str, Any] | None = None
    ) -> Iterable[PredictionResult]:
        return [PredictionResult(segment, self._score(segment, model.runtime)) for segment in batch]

    def get_num_bytes(self, batch: Sequence[Segment]) -> int:
        return sum(segment.x.nbytes for segment in batch)

    def get_metrics_namespace(self) -> str:
        return "edgernn"

    def _score(self, segment: Segment, runtime: StepRuntime) -> dict[str, np.ndarray] | UserError:
        try:
            return run_segment(runtime, segment.x, self._inputs)
        except UserError as error:
            return UserError(f'stream "{segment.stream}": {error}')


def run_segment(runtime: StepRuntime, x: np.ndarray, inputs: Inputs) -> dict[str, np.ndarray]:
    """Every output over a segment from a reset, (steps, width) by name.

    Args:
        x: (steps, columns) float32.
    """
    dtypes = {spec.name: "float32" if spec.is_quantized else spec.dtype for spec in runtime.inputs}
    parts = [(name, x[:, list(columns)].astype(dtypes[name])) for name, columns in inputs]
    single_in, names = len(inputs) == 1, [spec.name for spec in runtime.outputs]
    outputs = [np.empty((len(x), int(np.prod(spec.shape))), _real(spec)) for spec in runtime.outputs]
    runtime.reset()
    for step in range(len(x)):
        given = parts[0][1][step] if single_in else {name: values[step] for name, values in parts}
        said = runtime.step(given)
        for name, values in zip(names, outputs, strict=True):
            values[step] = np.reshape(said[name] if len(names) > 1 else said, -1)
    return dict(zip(names, outputs, strict=True))


def _real(spec) -> str:
    return "float32" if spec.is_quantized else spec.dtype
