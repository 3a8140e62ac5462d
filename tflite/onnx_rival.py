"""The rival in speed: the same float GRU step in ONNX Runtime, state fed back."""

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 9  # readable by every ONNX Runtime since 1.15


@dataclass(frozen=True)
class GRUStepWeights:
    """One Keras GRU layer and the Dense layers on it, as float32 arrays.

    Attributes:
        kernel: (features, 3 * units), gates z, r, n.
        recurrent_kernel: (units, 3 * units).
        bias: (2, 3 * units) with reset_after, else (3 * units,).
        head_kernel, head_bias: (units, outputs), (outputs,); several heads side by side.
    """

    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    bias: np.ndarray
    head_kernel: np.ndarray
    head_bias: np.ndarray

    @property
    def units(self) -> int:
        return self.recurrent_kernel.shape[0]

    @property
    def reset_after(self) -> bool:
        """True where the reset gate multiplies the candidate's recurrent product (the Keras default)."""
        return self.bias.ndim == 2


def gru_step_weights(layers: list) -> GRUStepWeights:
    """The weights of Keras layers: exactly one GRU, then Dense heads that all read it.

    Raises:
        ValueError: another number of GRU layers, or no Dense.
    """
    by_kind = {kind: [layer for layer in layers if type(layer).__name__ == kind] for kind in ("GRU", "Dense")}
    if len(by_kind["GRU"]) != 1 or not by_kind["Dense"]:
        found = ", ".join(type(layer).__name__ for layer in layers)
        raise ValueError(f"expected one GRU and at least one Dense, got {found}")
    kernel, recurrent_kernel, bias = by_kind["GRU"][0].get_weights()
    heads = [layer.get_weights() for layer in by_kind["Dense"]]
    return GRUStepWeights(
        kernel,
        recurrent_kernel,
        bias,
        np.concatenate([weights[0] for weights in heads], axis=1),
        np.concatenate([weights[1] for weights in heads]),
    )


def onnx_gru_step(
    weights: GRUStepWeights,
    mean: np.ndarray | None = None,
    std: np.ndarray | None = None,
    output_scale: np.ndarray | None = None,
    output_offset: np.ndarray | None = None,
) -> onnx.ModelProto:
    """The step x (1, features), h (1, 1, units) -> y (1, outputs), h as a float32 ONNX model.

    With `mean` and `std` (features,) it takes raw readings and standardizes them; with `output_scale` and
    `output_offset` (outputs,) it gives real units. Keras and ONNX agree on the gate order z, r, n.
    """
    features, units = weights.kernel.shape[0], weights.units
    constants, nodes = _gru_constants(weights), []
    source = "x"
    if mean is not None:
        constants |= {"mean": mean, "inverse_std": 1.0 / np.asarray(std, np.float32)}
        nodes += [
            _node("Sub", ["x", "mean"], "centred"),
            _node("Mul", ["centred", "inverse_std"], "standardized"),
        ]
        source = "standardized"
    nodes += _gru_nodes(source, units, weights.reset_after, "y" if output_scale is None else "head")
    if output_scale is not None:
        constants |= {"scale": output_scale, "offset": output_offset}
        nodes += [_node("Mul", ["head", "scale"], "scaled"), _node("Add", ["scaled", "offset"], "y")]
    state = [1, 1, units]
    graph = helper.make_graph(
        nodes,
        "gru_step",
        [_info("x", [1, features]), _info("h", state)],
        [_info("y", [1, weights.head_kernel.shape[1]]), _info("h_next", state)],
        [
            numpy_helper.from_array(np.asarray(v, v.dtype if v.dtype == np.int64 else np.float32), k)
            for k, v in constants.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model


class OnnxStep:
    """The ONNX model in ONNX Runtime, one thread, carrying its state through `session.run`."""

    def __init__(self, model: onnx.ModelProto):
        self._session = _session(model)
        self._shape = tuple(self._session.get_inputs()[1].shape)
        self.reset()

    def reset(self) -> None:
        self._state = np.zeros(self._shape, np.float32)

    def step(self, x: np.ndarray) -> np.ndarray:
        """(features,) float32 -> (outputs,) float32."""
        y, self._state = self._session.run(_OUTPUTS, {"x": x[np.newaxis], "h": self._state})
        return y[0]


class BoundOnnxStep:
    """The same through IO binding: buffers bound once, two states in turn, only the output allocated."""

    def __init__(self, model: onnx.ModelProto):
        self._session = _session(model)
        state = tuple(self._session.get_inputs()[1].shape)
        value = onnxruntime.OrtValue.ortvalue_from_numpy
        self._x = value(np.zeros(tuple(self._session.get_inputs()[0].shape), np.float32))
        self._y = value(np.zeros(tuple(self._session.get_outputs()[0].shape), np.float32))
        self._states = [value(np.zeros(state, np.float32)) for _ in range(2)]
        self._bindings = [self._binding(turn) for turn in range(2)]
        self.reset()

    def reset(self) -> None:
        self._turn = 0
        self._states[0].update_inplace(np.zeros(tuple(self._states[0].shape()), np.float32))

    def step(self, x: np.ndarray) -> np.ndarray:
        """(features,) float32 -> (outputs,) float32."""
        self._x.update_inplace(x[np.newaxis])
        self._session.run_with_iobinding(self._bindings[self._turn])
        self._turn ^= 1
        return self._y.numpy()[0]

    def _binding(self, turn: int):
        binding = self._session.io_binding()
        binding.bind_ortvalue_input("x", self._x)
        binding.bind_ortvalue_input("h", self._states[turn])
        binding.bind_ortvalue_output("y", self._y)
        binding.bind_ortvalue_output("h_next", self._states[1 - turn])
        return binding


_OUTPUTS = ["y", "h_next"]


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _gru_constants(weights: GRUStepWeights) -> dict[str, np.ndarray]:
    """ONNX's layout: one direction first, gates in rows, both biases in one vector."""
    input_bias, state_bias = weights.bias if weights.reset_after else (weights.bias, np.zeros_like(weights.bias))
    return {
        "W": weights.kernel.T[np.newaxis],
        "R": weights.recurrent_kernel.T[np.newaxis],
        "B": np.concatenate([input_bias, state_bias])[np.newaxis],
        "head_kernel": weights.head_kernel,
        "head_bias": weights.head_bias,
        "time_axis": np.array([0], np.int64),
    }


def _gru_nodes(source: str, units: int, reset_after: bool, result: str) -> list[onnx.NodeProto]:
    gru = helper.make_node(
        "GRU",
        ["sequence", "W", "R", "B", "", "h"],
        ["", "h_next"],
        hidden_size=units,
        linear_before_reset=int(reset_after),
    )
    return [
        _node("Unsqueeze", [source, "time_axis"], "sequence"),
        gru,
        _node("Squeeze", ["h_next", "time_axis"], "state"),
        _node("Gemm", ["state", "head_kernel", "head_bias"], result),
    ]


def _node(kind: str, inputs: list[str], output: str) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output])


def _info(name: str, shape: list[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
