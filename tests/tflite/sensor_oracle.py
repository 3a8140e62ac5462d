"""What a sensor graph must say, by hand: numpy, and Keras' own GRU cell one step at a time."""

from collections import deque

import keras
import numpy as np

CLIP = 5.0  # the documented limit of a standardized reading


def forecaster(encoding, units: int = 6, seed: int = 0, trust: bool = False) -> keras.Model:
    """An untrained network with the heads a sensor graph expects; outputs of about one standard deviation."""
    x = keras.Input((None, encoding.width), name="features")
    state = keras.layers.GRU(units, return_sequences=True, name="gru")(x)
    heads = [keras.layers.Dense(encoding.lead_count * len(encoding.targets), name="forecast")(state),
             keras.layers.Dense(encoding.measured, name="following")(state)]
    if trust:
        heads.append(keras.layers.Dense(len(encoding.targets), "sigmoid", name="trust")(state))
    model, rng = keras.Model(x, heads, name="net"), np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(rng.normal(0, 0.3 if weight.name == "bias" else 1 / np.sqrt(weight.shape[0]), weight.shape))
    return model


class SensorOracle:
    """One step at a time; `encoding` and `score` are read as plain records, none of their methods is called."""

    def __init__(self, model, encoding, score=None):
        self.model, self.encoding, self.score = model, encoding, score
        self.measured = len(encoding.mean)
        calendars = len(encoding.columns) - self.measured
        self.state = np.zeros((1, model.get_layer("gru").units), np.float32)
        self.previous = np.zeros(self.measured + calendars)
        self.first = [[] for _ in range(self.measured)]
        self.pending = deque([(np.zeros(len(encoding.targets)), 0.0, 0)] * encoding.leads[0])
        self.usually_missing = 0.0
        self.smoothed, self.age = np.zeros(len(encoding.targets)), 0
        self.centre, self.before, self.repeats = np.zeros((3, len(encoding.targets)))
        self.over, self.hold, self.limit = 0, 0, 1.0

    def statistics(self, x):
        enc = self.encoding
        if enc.readings is None:
            return np.array(enc.mean), np.array(enc.std)
        for seen, value in zip(self.first, x, strict=False):
            if np.isfinite(value) and len(seen) < enc.readings:
                seen.append(float(value))
        mean = np.array([np.mean(seen) if seen else 0.0 for seen in self.first])
        std = np.array([np.std(seen) if seen else 0.0 for seen in self.first])
        return mean, np.maximum(std, enc.std)

    def step(self, x):
        enc, m = self.encoding, self.measured
        mean, std = self.statistics(x)
        known = np.isfinite(x)
        values = self.previous.copy()
        values[:m][known[:m]] = ((x[:m] - mean) / std)[known[:m]]
        values[m:][known[m:]] = x[m:][known[m:]]
        readings = np.clip(values[:m], -CLIP, CLIP)
        angles = [2 * np.pi * values[m + column] / period for column, period in enc.cycles]
        waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
        inputs = readings if enc.inputs is None else readings[list(enc.inputs)]
        features = np.concatenate([inputs, waves]).astype(np.float32)[None]
        output, (state, *_) = self.model.get_layer("gru").cell(features, [self.state])
        self.state = np.asarray(state)
        forecast, following = (np.asarray(self.model.get_layer(name)(output))[0] for name in ("forecast", "following"))
        self.previous = np.concatenate([following, values[m:] + np.array(enc.advance)])
        if self.score is None:
            return self.real(forecast)
        trust = 1.0
        if len(self.model.outputs) == 3:
            head = self.model.get_layer("trust")
            trust = 1 / (1 + np.exp(-(np.asarray(output) @ np.asarray(head.kernel) + np.asarray(head.bias))[0]))
        self.age += 1 if enc.readings is None else int(known.any())
        read = range(m) if enc.inputs is None else enc.inputs
        only_read = [i for i in read if i not in enc.targets]
        said = self.alarm(readings[list(enc.targets)], forecast, trust, sum(not known[i] for i in only_read))
        if self.score.recentre and enc.inputs is not None and not set(enc.inputs) & set(enc.targets):
            self.previous[list(enc.targets)] += self.centre  # what this machine would say
        return said

    def real(self, forecast):
        enc = self.encoding
        lead_by_lead = forecast.reshape(-1, len(enc.targets))
        real = lead_by_lead * np.array(enc.std)[list(enc.targets)] + np.array(enc.mean)[list(enc.targets)]
        return (np.maximum(real, 0) if enc.non_negative else real).reshape(-1)

    def alarm(self, readings, forecast, trust, missing):
        """Score, alarm where it is more than that, and contributions where asked for, side by side."""
        score, first = self.score, max(self.encoding.leads[0], self.encoding.readings or 0) + self.score.settle
        self.pending.append((forecast, trust, missing))
        forecast, trust, missing = self.pending.popleft()
        residual = (readings - score.reliance * forecast - self.centre) * trust
        if missing - self.usually_missing >= score.ewma:  # guessed
            residual = 0 * residual
        self.usually_missing += score.ewma * (missing - self.usually_missing)
        memory = score.recentre or 0
        number = min(max(self.age - first, 0), memory + 1)
        same = np.abs(readings - self.before) < 1e-6
        self.before = readings
        scored = self.age > first + memory
        self.repeats = np.where(same & scored, self.repeats + 1, 0)
        if self.age > first + memory - (score.own_limit or 0):
            self.smoothed = self.smoothed + score.ewma * (residual - self.smoothed)
        parts = (self.smoothed @ np.array(score.whitening)) ** 2
        if score.own_limit and not scored:
            self.limit, parts = max(self.limit, np.sqrt(parts.sum())), 0 * parts
        elif score.own_limit:
            parts = parts / self.limit**2
        if score.repeats is not None:
            parts = parts + (self.repeats / np.array(score.repeats)) ** 2
        value = np.sqrt(parts.sum())
        if memory and number and value < score.freeze:
            self.centre = self.centre + residual / number
        outputs = [[value]]
        if score.persistence > 1 or score.cool_down:
            outputs.append([self.held(value >= 1)])
        return np.concatenate([*outputs, parts] if score.contributions else outputs)

    def held(self, over):
        self.over = self.over + 1 if over else 0
        if over and (self.over >= self.score.persistence or self.hold):
            self.hold = self.score.cool_down + 1
        elif self.hold:
            self.hold -= 1
        return float(self.hold > 0)

    def run(self, xs):
        return np.stack([self.step(x.astype(np.float64)) for x in xs])
