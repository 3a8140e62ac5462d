"""Tyres: warmed by rolling, cooled by the wind, and the pressure of the gas inside."""

import numpy as np

HEAT_CAPACITY = 120e3  # J/K of a tyre and its gas
STILL, WINDY = 10.0, 4.0  # W/K standing, and more per m/s
FRONT_KERB, FRONT_PAYLOAD = 0.5, 0.25  # shares of the mass on the front axle
GRAVITY = 9.81
ATMOSPHERE = 101.3  # kPa
ZERO, COLD = 273.15, 293.15  # K: 0 degC, and 20 degC at which the pressure was set
POSITIONS = ("front_left", "front_right", "rear_left", "rear_right")  # the twins at the rear count as one


def axle_loads(kerb: np.ndarray, payload: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """N on one front and one rear wheel, from masses in kg."""
    front = FRONT_KERB * kerb + FRONT_PAYLOAD * payload
    return (0.5 * GRAVITY) * front, (0.5 * GRAVITY) * (kerb + payload - front)


def warm(
    tyre: np.ndarray, load: np.ndarray, rolling: np.ndarray, speed: np.ndarray, air: np.ndarray, twin: float
) -> np.ndarray:
    """One second of a tyre's energy balance: new temperature (degC).

    All the rolling resistance becomes heat in the tyre (Gent and Walter, The Pneumatic Tire, NHTSA 2006, chapter 12).

    Args:
        load: N on the wheel. speed: m/s. twin: 1 for a single tyre, 2 for two that share load and wind.
    """
    gained = rolling * load * speed - twin * (STILL + WINDY * speed) * (tyre - air)
    return tyre + gained * (1 / (twin * HEAT_CAPACITY))


def gauge_pressure(cold: np.ndarray, tyre: np.ndarray, gas: np.ndarray) -> np.ndarray:
    """kPa above the atmosphere: the ideal gas at constant volume.

    Args:
        cold: kPa it was filled to at 20 degC. tyre: degC. gas: share of the gas that is left.
    """
    return np.maximum((cold + ATMOSPHERE) * gas * (tyre + ZERO) * (1 / COLD) - ATMOSPHERE, 0.0)
