"""The recurrent layer of an encoder: what it puts out is its state, for a decoder to begin in."""

from keras_models.step_rnn import StepRNN


class StepEncoder(StepRNN):
    """A StepRNN, (batch, timesteps, features) -> the last state (batch, units), in the numbers of the state."""

    def _output(self, op, h):
        return h
