"""What must hold of every randomly drawn model: a clear refusal where it cannot stream, else parity on every runtime.

Integers are held to one quantum, but where float32 operators stand between them, or int16 products: those may differ in
their last digit from one runtime to another, that digit may tip the rounding of an integer, and what follows carries it
on.
"""

import tempfile
from pathlib import Path

import keras
import numpy as np
from cut_graph import cut_graph
from random_models import RandomModel, random_model, reset_states

from keras_models import quantize_aware
from keras_models.qat_model import calibrate
from tflite import convert
from tflite.exposed_states import exposed_states
from tflite.flatbuffer import read_flatbuffer
from tflite.parity import parity
from tflite.quanta import output_quanta
from tflite.runtimes import load_model
from tflite.step_graph import StepGraph

SECONDS_PER_DRAW = 120  # of the processor: the machine may be busy
# Of the largest output: the order of float sums over some tens of steps; Keras itself is up to 7e-6 from float64.
FLOAT_TOLERANCE = 2e-5
SMALLEST = 0.1  # a layer may put out nothing but rounding
CUT_OUTPUT, CUT_CELL = 1, 32  # quanta of an operator by itself: its int8 output, the int16 cell state of an LSTM
# Where a rounding may be tipped: the share of elements that differ, and of int16 after floats, where many do, quanta.
TIPPED_SHARE, TIPPED_INT16 = 0.01, 32
REFERENCE, TFLM, GENERATED = {"kernels": "reference"}, {"runtime": "tflm"}, {"runtime": "c"}
WAYS = ({"kernels": "default"}, REFERENCE, TFLM)


def prove_seed(seed: int) -> str:
    """Raises AssertionError with the draw and what does not hold of it; returns "refused" or "passed"."""
    try:
        return _prove(random_model(seed))
    finally:
        keras.backend.clear_session()


def _prove(draw: RandomModel) -> str:
    if draw.refused is not None:
        _prove_refusal(draw)
        return "refused"
    if draw.form.is_float:
        _prove_float(draw)
    else:
        _prove_integers(draw)
    return "passed"


def _prove_refusal(draw: RandomModel) -> None:
    try:
        convert(
            draw.model,
            activations=draw.form.activations,
            state=draw.state,
            state_dtype=draw.form.state_dtype,
            representative=_streams(draw),
        )
    except ValueError as error:
        message = str(error)
        assert repr(draw.refused) in message and "\n" not in message, f"{draw}: unclear: {message}"
        return
    raise AssertionError(f"{draw}: converted, though {draw.refused!r} has no form as a time step")


def _prove_float(draw: RandomModel) -> None:
    model = convert(draw.model, activations="float32", state=draw.state).tflite
    expected = _outputs(draw, draw.model(draw.inputs, training=False))
    for options in WAYS:
        ours = _streamed(draw, model, options)
        for name, values in expected.items():
            error = np.abs(_like(ours[name], values) - values).max() / max(SMALLEST, np.abs(values).max())
            assert error <= FLOAT_TOLERANCE, f"{draw}: {options}, output {name}: off by {error:.1e} of the largest"
    _prove_parity(draw, model)


def _prove_integers(draw: RandomModel) -> None:
    twin = quantize_aware(draw.model, draw.form.activations, state_dtype=draw.form.state_dtype, state=draw.state)
    calibrate(twin, [draw.inputs])
    reset_states(twin)
    model = convert(twin, state=draw.state).tflite
    predicted, ours = _outputs(draw, twin(draw.inputs, training=False)), _streamed(draw, model, TFLM)
    graph = read_flatbuffer(exposed_states(model))
    quanta, errors = output_quanta(graph), []
    for name, values in predicted.items():
        rounding = FLOAT_TOLERANCE * max(1.0, np.abs(values).max())
        quantum = np.maximum(quanta.get(name, 0), rounding).reshape(-1)
        errors.append(np.abs(_like(ours[name], values) - values).reshape(-1, len(quantum)) / quantum)
    largest, different = max(error.max() for error in errors), max(np.mean(error > 0.5) for error in errors)
    is_equal = _is_equal(draw, largest, different, floats=_has_floats_between(graph))
    assert is_equal, f"{draw}: TFLite Micro off by {largest:.1f} quanta of the model, {different:.2%} of the elements"
    _prove_parity(draw, model)
    if draw.seed % 4 == 0:
        _prove_saved(draw, twin, model)


def _prove_parity(draw: RandomModel, model: bytes) -> None:
    """LiteRT's reference kernels against TFLite Micro, every state forced equal before each step; and states inside are
    the states outside.

    The graph is cut where LiteRT computes in another way, and every piece judged by itself.
    """
    exposed = exposed_states(model)
    left, pieces = cut_graph(exposed, [step for stream in _steps(draw) for step in stream])
    record, floats = _parity(*left), _has_floats_between(read_flatbuffer(left[0]))
    ties = draw.form.product_bits == 16
    is_equal = _is_equal(draw, record["max_lsb"], record["mismatched"], floats=floats, ties=ties)
    assert is_equal, f"{draw}: LiteRT against TFLite Micro: {record}"
    for piece in pieces:
        record = _parity(*piece)
        allowed = {name: CUT_CELL if name.startswith("c") else CUT_OUTPUT for name in record["by_tensor"]}
        is_equal = all(largest <= allowed[name] for name, largest in record["by_tensor"].items())
        assert is_equal, f"{draw}: LiteRT against TFLite Micro, one operator: {record}"
    ours, theirs = (_streamed(draw, exposed, options) for options in (GENERATED, TFLM))
    for name in ours:
        assert np.array_equal(ours[name], theirs[name]), f"{draw}: generated C against TFLite Micro, output {name}"
    if exposed != model:
        for options in (REFERENCE, TFLM):
            inside, outside = (_streamed(draw, one, options) for one in (model, exposed))
            for name in inside:
                assert np.array_equal(inside[name], outside[name]), f"{draw}: {options}, output {name}: state inside"


def _parity(model: bytes, readings: list) -> dict:
    ours, theirs = load_model(model, **REFERENCE), load_model(model, **TFLM)
    return parity(ours, theirs, readings, output_quanta(read_flatbuffer(model)))


def _is_equal(draw: RandomModel, largest: float, different: float, *, floats: bool, ties: bool = False) -> bool:
    """By the `largest` difference in quanta and the share of `different` elements. What may tip a rounding: `floats`
    between integers, `ties` of int16 sums, which LiteRT rounds away from zero, unlike TFLite Micro."""
    if largest <= 1:
        return True
    if floats and draw.form.product_bits == 16:
        return largest <= TIPPED_INT16
    return (floats or ties) and different <= TIPPED_SHARE


def _has_floats_between(graph: StepGraph) -> bool:
    """Whether integers are made of what operators computed in float32."""
    readings = {tensor for _, tensor in graph.inputs}
    quantized = [op.inputs[0] for op in graph.ops if op.kind == "QUANTIZE"]
    return any(graph.tensor(name).dtype == "float32" and name not in readings for name in quantized)


def _prove_saved(draw: RandomModel, twin: keras.Model, model: bytes) -> None:
    """The model of a `.keras` file converts to the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        twin.save(Path(folder) / "twin.keras")
        again = convert(Path(folder) / "twin.keras", state=draw.state).tflite
    assert again == model, f"{draw}: saved and loaded it converts to other bytes"


def _streams(draw: RandomModel) -> list[dict[str, np.ndarray]]:
    return [{name: values[i] for name, values in draw.data.items()} for i in range(len(next(iter(draw.data.values()))))]


def _steps(draw: RandomModel) -> list[list]:
    """By stream, what `step` takes at each time step."""
    streams = []
    for stream in _streams(draw):
        rows = [
            {name: np.atleast_1d(value) for name, value in zip(stream, row, strict=True)}
            for row in zip(*stream.values(), strict=True)
        ]
        streams.append([next(iter(row.values())) if len(row) == 1 else row for row in rows])
    return streams


def _streamed(draw: RandomModel, model: bytes, options: dict[str, str]) -> dict[str, np.ndarray]:
    """By output name (streams, steps, ...)."""
    runtime, streams = load_model(model, **options), []
    for stream in _steps(draw):
        runtime.reset()
        results = [runtime.step(step) for step in stream]
        streams.append([result if isinstance(result, dict) else {"y": result} for result in results])
    return {name: np.array([[step[name] for step in stream] for stream in streams]) for name in streams[0][0]}


def _outputs(draw: RandomModel, values) -> dict[str, np.ndarray]:
    """By the name of the signature."""
    values = values if isinstance(values, list | tuple) else [values]
    names = draw.model.output_names if len(values) > 1 else ["y"]
    return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}


def _like(ours: np.ndarray, keras_output: np.ndarray) -> np.ndarray:
    """Of (streams, steps, ...) all steps, or the last where Keras gives that only."""
    ours = ours if ours.shape == keras_output.shape else ours[:, -1]
    assert ours.shape == keras_output.shape, f"output of shape {ours.shape}, of Keras {keras_output.shape}"
    return ours
