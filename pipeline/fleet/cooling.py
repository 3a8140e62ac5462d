"""The coolant circuit: heat of the engine, thermostat, radiator and fan."""

import numpy as np

TO_COOLANT = 0.30  # share of the fuel's power; Heywood 1988, table 12.1: 16 to 35 % in a diesel
HEAT_CAPACITY = 400e3  # J/K of coolant and the metal around it
BLOCK_LOSS = 40.0  # W/K from the engine block to the air under the cab
OPENS, OPEN = 82.0, 95.0  # degC, thermostat
FAN_FROM, FAN_FULL, FAN_IDLE = 88.0, 96.0, 0.25  # degC; a viscous coupling always drags the fan along
FAN_POWER = 5e3  # W at full speed
FAN_RPM = 2400.0
RAM, FAN_WIND = 0.3, 6.0  # wind in the radiator: share of the speed, m/s of the fan
HALF_WIND = 3.5  # m/s in which the radiator gives half of what it can
BOILS = 125.0  # degC at the pressure of the cap; beyond, steam carries the heat away


def fan_share(coolant: np.ndarray, running: np.ndarray, health: np.ndarray) -> np.ndarray:
    """Fan speed as a share of the full one; `health` is 1 for a sound fan, 0 for one that stands."""
    wanted = FAN_IDLE + (coolant - FAN_FROM) * ((1 - FAN_IDLE) / (FAN_FULL - FAN_FROM))
    return np.minimum(np.maximum(wanted, FAN_IDLE), 1.0) * running * health


def fan_power(share: np.ndarray) -> np.ndarray:
    """W; the cube of the speed (fan affinity laws)."""
    return FAN_POWER * share * share * share


def cool(
    coolant: np.ndarray,
    fuel: np.ndarray,
    air: np.ndarray,
    speed: np.ndarray,
    fan: np.ndarray,
    radiator: np.ndarray,
    level: np.ndarray,
) -> np.ndarray:
    """One second of the coolant's energy balance: new temperature (degC).

    C dT/dt = share of the fuel's power - radiator - block. The radiator's W/K saturates with its wind, as the
    effectiveness of a heat exchanger does (Incropera et al., Fundamentals of Heat and Mass Transfer, section 11.4); the
    quotient wind / (wind + half wind) stands for it.

    Args:
        fuel: W. speed: m/s. fan: share of the full speed. radiator: W/K in a strong wind.
        level: 1 when full; a leak takes the coolant that carries the heat to the radiator.
    """
    open_share = np.minimum(np.maximum((coolant - OPENS) * (1 / (OPEN - OPENS)), 0.0), 1.0)
    wind = RAM * speed + FAN_WIND * fan
    conductance = radiator * level * open_share * (wind / (wind + HALF_WIND)) + BLOCK_LOSS
    gained = TO_COOLANT * fuel - conductance * (coolant - air)
    return np.minimum(coolant + gained * (1 / HEAT_CAPACITY), BOILS)
