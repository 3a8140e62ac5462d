"""The 24 V net: two lead-acid batteries in series, an alternator with a regulator, and what draws current."""

import numpy as np

EMPTY, SPAN = 23.6, 2.0  # V of open circuit when empty, and more when full
DISCHARGE = 0.015  # ohm
ACCEPTANCE, OVERFULL = 0.02, 1.03  # ohm; the resistance to charging grows towards full
COLDER = 0.036  # V more per K below 25 degC: the regulator's compensation
ELECTRONICS, LIGHTS, STARTER = 18.0, 14.0, 300.0  # A
NOMINAL = 26.0  # V
DARK = 50.0  # W/m2 of sunshine below which the lights burn
ALTERNATOR_IDLE, ALTERNATOR_MORE, ALTERNATOR_FULL = 90.0, 110.0, 1600.0  # A, A, rpm
ALTERNATOR_EFFICIENCY = 0.6  # of belt and machine: Bosch Automotive Handbook, alternators
LOWEST = 0.02  # state of charge


def alternator_power(volts: np.ndarray, amperes: np.ndarray) -> np.ndarray:
    """W it takes from the engine."""
    return volts * amperes * (1 / ALTERNATOR_EFFICIENCY)


def charge(
    soc: np.ndarray,
    drawn: np.ndarray,
    rpm: np.ndarray,
    air: np.ndarray,
    capacity: np.ndarray,
    regulator: np.ndarray,
    health: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One second of the net: new state of charge, volts, amperes into the battery, amperes of the alternator.

    The battery is a voltage behind a resistance (Shepherd's equation without its exponential term: Shepherd, Design of
    Primary and Secondary Cells II, 1965); what it takes tapers off as it fills (Copetti et al., A General Battery Model
    for PV System Simulation, 1993). The alternator gives what is drawn and what the battery takes at the regulated
    voltage, as far as its speed allows.

    Args:
        soc: 0 .. 1. drawn: A by everything but the battery. rpm: of the engine. capacity: Ah. regulator: V at 25 degC.
        health: 1 for a sound alternator, 0 for a dead one.
    """
    open_circuit = EMPTY + SPAN * soc
    acceptance = ACCEPTANCE / (OVERFULL - soc)
    wanted = np.maximum((regulator - COLDER * (air - 25.0) - open_circuit) / acceptance, 0.0)
    most = (ALTERNATOR_IDLE + ALTERNATOR_MORE * np.minimum(rpm * (1 / ALTERNATOR_FULL), 1.0)) * (rpm > 0) * health
    given = np.minimum(wanted + drawn, most)
    current = given - drawn
    volts = open_circuit + current * np.where(current > 0, acceptance, DISCHARGE)
    new = np.minimum(np.maximum(soc + current / (capacity * 3600.0), LOWEST), 1.0)
    return new, volts, current, given
