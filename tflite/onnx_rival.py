"""The rival in speed: the same float step of a recurrent layer in ONNX Runtime, state fed back."""

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from keras_models.forecaster import FOLLOWING, HIDDEN

OPSET = 17
IR_VERSION = 9  # readable by every ONNX Runtime since 1.15
# By Keras layer: the operator, its states, and where ONNX finds its gates among those of Keras.
OPERATORS = {
    "SimpleRNN": ("RNN", ("h",), (0,)),
    "GRU": ("GRU", ("h",), (0, 1, 2)),  # z, r, n in both
    "LSTM": ("LSTM", ("h", "c"), (0, 3, 1, 2)),  # Keras: i, f, c, o; ONNX: i, o, f, c
}


@dataclass(frozen=True)
class StepWeights:
    """One recurrent Keras layer and the Dense layers on it, as float32 arrays in the layout of Keras.

    Attributes:
        cell: the class of the layer, "SimpleRNN", "GRU" or "LSTM".
        kernel: (features, gates * units).
        recurrent_kernel: (units, gates * units).
        bias: (gates * units,); (2, gates * units) of a GRU with reset_after.
        head_kernel, head_bias: (units, outputs), (outputs,); several heads side by side.
        hidden_kernel, hidden_bias: (units + features, hidden), (hidden,) of a relu layer between, which sees the state
            and x; None where the heads see the state.
    """

    cell: str
    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    bias: np.ndarray
    head_kernel: np.ndarray
    head_bias: np.ndarray
    hidden_kernel: np.ndarray | None = None
    hidden_bias: np.ndarray | None = None

    @property
    def units(self) -> int:
        return self.recurrent_kernel.shape[0]

    @property
    def reset_after(self) -> bool:
        """Of a GRU: True where the reset gate multiplies the candidate's recurrent product (the Keras default)."""
        return self.bias.ndim == 2


def step_weights(layers: list) -> StepWeights:
    """The weights of Keras layers: exactly one recurrent layer with bias and tanh, then Dense heads that all read it.

    Where a forecaster has a hidden layer, the rival is spared the head that reads the state past it.

    Raises:
        ValueError: another number of recurrent layers, or no Dense.
    """
    recurrent, heads = (
        [layer for layer in layers if type(layer).__name__ in kinds] for kinds in (OPERATORS, ("Dense",))
    )
    if len(recurrent) != 1 or not heads:
        found = ", ".join(type(layer).__name__ for layer in layers)
        raise ValueError(f"expected one of {', '.join(OPERATORS)} and at least one Dense, got {found}")
    hidden = [weight for name in HIDDEN for layer in heads if layer.name == name for weight in layer.get_weights()]
    past = (*HIDDEN, FOLLOWING) if hidden else ()
    heads = [layer.get_weights() for layer in heads if layer.name not in past]
    return StepWeights(
        type(recurrent[0]).__name__,
        *recurrent[0].get_weights(),
        np.concatenate([weights[0] for weights in heads], axis=1),
        np.concatenate([weights[1] for weights in heads]),
        *([np.concatenate(hidden[:2]), hidden[2]] if hidden else []),
    )


def onnx_step(
    weights: StepWeights,
    mean: np.ndarray | None = None,
    std: np.ndarray | None = None,
    output_scale: np.ndarray | None = None,
    output_offset: np.ndarray | None = None,
) -> onnx.ModelProto:
    """The step x (1, features), h (1, 1, units) -> y (1, outputs), h_next as a float32 ONNX model; LSTM: c, c_next too.

    With `mean` and `std` (features,) it takes raw readings and standardizes them; with `output_scale` and
    `output_offset` (outputs,) it gives real units.
    """
    constants, nodes = _constants(weights), []
    source = "x"
    if mean is not None:
        constants |= {"mean": mean, "inverse_std": 1.0 / np.asarray(std, np.float32)}
        nodes += [_node("Sub", ["x", "mean"], "centred"), _node("Mul", ["centred", "inverse_std"], "standardized")]
        source = "standardized"
    nodes += _nodes(source, weights, "y" if output_scale is None else "head")
    if output_scale is not None:
        constants |= {"scale": output_scale, "offset": output_offset}
        nodes += [_node("Mul", ["head", "scale"], "scaled"), _node("Add", ["scaled", "offset"], "y")]
    states = OPERATORS[weights.cell][1]
    graph = helper.make_graph(
        nodes,
        "step",
        [_info("x", [1, weights.kernel.shape[0]]), *(_info(name, [1, 1, weights.units]) for name in states)],
        [
            _info("y", [1, weights.head_kernel.shape[1]]),
            *(_info(f"{name}_next", [1, 1, weights.units]) for name in states),
        ],
        [_initializer(key, values) for key, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model


class OnnxStep:
    """The ONNX model in ONNX Runtime, one thread, carrying its state through `session.run`."""

    def __init__(self, model: onnx.ModelProto):
        self._session = _session(model)
        states, outputs = self._session.get_inputs()[1:], self._session.get_outputs()
        self._outputs = [port.name for port in outputs]
        self._places = [(port.name, self._outputs.index(f"{port.name}_next")) for port in states]
        self._shapes = {port.name: tuple(port.shape) for port in states}
        self.reset()

    def reset(self) -> None:
        self._feed = {name: np.zeros(shape, np.float32) for name, shape in self._shapes.items()}

    def step(self, x: np.ndarray) -> np.ndarray:
        """(features,) float32 -> (outputs,) float32."""
        feed = self._feed
        feed["x"] = x[np.newaxis]
        results = self._session.run(self._outputs, feed)
        for name, place in self._places:  # as fast as naming the one state of a GRU: the rival is to be at its best
            feed[name] = results[place]
        return results[0][0]


class BoundOnnxStep:
    """The same through IO binding: buffers bound once, two sets of states in turn, only the output allocated."""

    def __init__(self, model: onnx.ModelProto):
        self._session = _session(model)
        (x, *states), (y, *_) = self._session.get_inputs(), self._session.get_outputs()
        self._x, self._y = _zeros(x.shape), _zeros(y.shape)
        self._states = [{port.name: _zeros(port.shape) for port in states} for _ in range(2)]
        self._bindings = [self._binding(turn) for turn in range(2)]
        self.reset()

    def reset(self) -> None:
        self._turn = 0
        for state in self._states[0].values():
            state.update_inplace(np.zeros(tuple(state.shape()), np.float32))

    def step(self, x: np.ndarray) -> np.ndarray:
        """(features,) float32 -> (outputs,) float32."""
        self._x.update_inplace(x[np.newaxis])
        self._session.run_with_iobinding(self._bindings[self._turn])
        self._turn ^= 1
        return self._y.numpy()[0]

    def _binding(self, turn: int):
        binding = self._session.io_binding()
        binding.bind_ortvalue_input("x", self._x)
        binding.bind_ortvalue_output("y", self._y)
        for name in self._states[turn]:
            binding.bind_ortvalue_input(name, self._states[turn][name])
            binding.bind_ortvalue_output(f"{name}_next", self._states[1 - turn][name])
        return binding


class OnnxWindow:
    """The layer over a whole window in ONNX Runtime, one thread: one GEMM for all inputs, then step after step inside.

    Args:
        steps: of the window.
    """

    def __init__(self, weights: StepWeights, steps: int):
        self._session = _session(_window_model(weights, steps))

    def run(self, window: np.ndarray) -> np.ndarray:
        """(steps, features) float32 -> (outputs,) float32 of the last step; the state begins at 0."""
        return self._session.run(None, {"sequence": window[:, np.newaxis]})[0][0]


def _window_model(weights: StepWeights, steps: int) -> onnx.ModelProto:
    operator, _, _ = OPERATORS[weights.cell]
    options = {"linear_before_reset": int(weights.reset_after)} if operator == "GRU" else {}
    nodes = [
        helper.make_node(operator, ["sequence", "W", "R", "B"], ["", "h"], hidden_size=weights.units, **options),
        _node("Squeeze", ["h", "time_axis"], "state"),
        *([] if weights.hidden_kernel is None else [_node("Gather", ["sequence", "last"], "x")]),
        *_heads("x", weights, "y"),
    ]
    inputs = [_info("sequence", [steps, 1, weights.kernel.shape[0]])]
    outputs = [_info("y", [1, weights.head_kernel.shape[1]])]
    constants = [_initializer(key, values) for key, values in (_constants(weights) | {"last": np.array(-1)}).items()]
    graph = helper.make_graph(nodes, "window", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model


def _initializer(name: str, values: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, values.dtype if values.dtype == np.int64 else np.float32), name)


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _zeros(shape: list[int]) -> onnxruntime.OrtValue:
    return onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(tuple(shape), np.float32))


def _constants(weights: StepWeights) -> dict[str, np.ndarray]:
    """ONNX's layout: one direction first, gates in rows in ONNX's order, both biases in one vector."""
    gates = OPERATORS[weights.cell][2]

    def ordered(array):
        """(..., gates * units) in ONNX's order of the gates."""
        return np.concatenate([np.split(array, len(gates), axis=-1)[gate] for gate in gates], axis=-1)

    input_bias, state_bias = weights.bias if weights.reset_after else (weights.bias, np.zeros_like(weights.bias))
    hidden = {"hidden_kernel": weights.hidden_kernel, "hidden_bias": weights.hidden_bias}
    return {
        **{name: array for name, array in hidden.items() if array is not None},
        "W": ordered(weights.kernel).T[np.newaxis],
        "R": ordered(weights.recurrent_kernel).T[np.newaxis],
        "B": np.concatenate([ordered(input_bias), ordered(state_bias)])[np.newaxis],
        "head_kernel": weights.head_kernel,
        "head_bias": weights.head_bias,
        "time_axis": np.array([0], np.int64),
    }


def _nodes(source: str, weights: StepWeights, result: str) -> list[onnx.NodeProto]:
    operator, states, _ = OPERATORS[weights.cell]
    options = {"linear_before_reset": int(weights.reset_after)} if operator == "GRU" else {}
    recurrent = helper.make_node(
        operator,
        ["sequence", "W", "R", "B", "", *states],
        ["", *(f"{name}_next" for name in states)],
        hidden_size=weights.units,
        **options,
    )
    return [
        _node("Unsqueeze", [source, "time_axis"], "sequence"),
        recurrent,
        _node("Squeeze", ["h_next", "time_axis"], "state"),
        *_heads(source, weights, result),
    ]


def _heads(source: str, weights: StepWeights, result: str) -> list[onnx.NodeProto]:
    """From the state, and from x where there is a hidden layer."""
    if weights.hidden_kernel is None:
        return [_node("Gemm", ["state", "head_kernel", "head_bias"], result)]
    return [
        helper.make_node("Concat", ["state", source], ["state_and_x"], axis=1),
        _node("Gemm", ["state_and_x", "hidden_kernel", "hidden_bias"], "hidden"),
        _node("Relu", ["hidden"], "seen"),
        _node("Gemm", ["seen", "head_kernel", "head_bias"], result),
    ]


def _node(kind: str, inputs: list[str], output: str) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output])


def _info(name: str, shape: list[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
