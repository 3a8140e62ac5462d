"""The trucks themselves: what differs from one to the next, drawn once for each."""

from dataclasses import dataclass, fields

import numpy as np

from pipeline.fleet.fleet_settings import random_source

# Of each property the lowest and the highest of the fleet; a distribution truck of 12 t with a refrigerated box.
RANGES = {
    "kerb_mass": (6200.0, 6800.0),  # kg
    "payload": (4200.0, 5000.0),  # kg when full
    "drag_area": (5.0, 6.2),  # m2, drag coefficient times frontal area
    "rolling": (0.0072, 0.0088),  # rolling resistance coefficient
    "power": (150e3, 170e3),  # W at the flywheel
    "radiator": (2000.0, 2300.0),  # W/K in a strong wind
    "battery": (155.0, 175.0),  # Ah
    "regulator": (28.0, 28.4),  # V, of the alternator at 25 degC
    "tyre_pressure": (780.0, 820.0),  # kPa above the atmosphere, cold (20 degC)
    "box_loss": (21.0, 27.0),  # W/K through the walls
    "cargo_goal": (2.5, 4.5),  # degC
    "refrigeration": (3700.0, 4300.0),  # W of cooling at 25 degC outside
}


@dataclass(frozen=True)
class Trucks:
    """Properties (vehicles,) by the names and in the units of `RANGES`."""

    kerb_mass: np.ndarray
    payload: np.ndarray
    drag_area: np.ndarray
    rolling: np.ndarray
    power: np.ndarray
    radiator: np.ndarray
    battery: np.ndarray
    regulator: np.ndarray
    tyre_pressure: np.ndarray
    box_loss: np.ndarray
    cargo_goal: np.ndarray
    refrigeration: np.ndarray


def draw_trucks(seed: int, vehicles: range) -> Trucks:
    """The trucks of these numbers."""
    drawn = np.stack([random_source(seed, vehicle, "truck").random(len(RANGES)) for vehicle in vehicles])
    low, high = np.array([RANGES[one.name] for one in fields(Trucks)]).T
    return Trucks(*(low + (high - low) * drawn).T.copy())
