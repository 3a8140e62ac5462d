"""An int8 LSTM layer that computes as TensorFlow Lite's fused kernel does."""

import keras

from keras_models.fused_lstm import CellQuantizer, FakeQuantLstm, IntegerLstm, fused_lstm_step
from keras_models.integer_operators import IntegerOperators
from keras_models.quantizers import TensorQuantizer
from keras_models.step_operators import Declared
from keras_models.step_rnn import StepRNN


@keras.saving.register_keras_serializable("edgernn")
class StepFusedLSTM(StepRNN):
    """The LSTM of a model that keeps its state inside: one operator, which this layer mirrors tensor by tensor."""

    def matrices(self):
        return {}

    def limits(self):
        return {}

    def declare(self, declaration, source):
        self.quantizers |= {"h": TensorQuantizer(self, "h"), "c": CellQuantizer(self)}
        self.state_quantizers = list(self.quantizers.values())
        return Declared(self.quantizers["h"])

    def project(self, op, x):
        op.fused = self._fused(op, x)
        return (op.fused.input_gates(x),)

    def step(self, op, projected, states):
        (h, c), dropout = states, getattr(op, "recurrent_dropout", None)
        new = fused_lstm_step(op.fused, projected[0], h if dropout is None else h * dropout, c)
        return new[0], new

    def _fused(self, op, x) -> FakeQuantLstm | IntegerLstm:
        h, c = self.state_quantizers
        if isinstance(op, IntegerOperators):
            return IntegerLstm(self.gate_weights, x.form, h.form, c.form)
        return FakeQuantLstm(self.gate_weights, h, c, op.observe)

    def _output(self, op, h):
        return h
