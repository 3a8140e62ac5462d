"""The recurrent layer of an encoder: what it puts out is its state, for a decoder to begin in."""

from keras_models.step_rnn import StepRNN
from keras_models.translation.shared_table import reads_rows


class StepEncoder(StepRNN):
    """A StepRNN, (batch, timesteps, features) -> the last state (batch, units), in the numbers of the state."""

    def kernel_initializer(self, features):
        return reads_rows(features)

    def _output(self, op, h):
        return h
