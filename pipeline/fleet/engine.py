"""Traction and the diesel engine: from the driver's wish to speed, engine speed, load and fuel."""

import numpy as np

from pipeline.fleet.truck import Trucks

GRAVITY = 9.81  # m/s2
AIR = 1.2  # kg/m3
DRIVELINE = 0.92  # efficiency from flywheel to wheels
SOFTEST, HARDEST = -1.3, 0.9  # m/s2 a driver brakes and accelerates with
STANDSTILL = 0.05  # m/s; slower counts as standing
CRAWL = 2.0  # m/s up to which the clutch slips: the force is not power over speed there
IDLE, FULL_POWER_FROM = 700.0, 1500.0  # rpm
# From each speed (m/s) on another gear, with so many rpm per m/s.
SHIFTS = np.array([0.0, 2.5, 4.0, 6.5, 10.0, 15.0])
RATIOS = np.array([480.0, 300.0, 190.0, 125.0, 88.0, 64.0])
FINENESS, FASTEST = 2, 80  # table of gears: steps per m/s, m/s
GEARS = RATIOS[np.searchsorted(SHIFTS, np.arange(FASTEST * FINENESS) / FINENESS, side="right") - 1]
INDICATED = 0.42  # share of the fuel's power that reaches the pistons
FRICTION = 160e3  # Pa, mean effective pressure lost
DISPLACEMENT = 6.7e-3  # m3
DIESEL = 35.9e6  # J/l
FILTER = 60.0  # kPa s2/kg2, a clean air filter


def drive(
    trucks: Trucks, speed: np.ndarray, wish: np.ndarray, slope: np.ndarray, mass: np.ndarray, power: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One second of traction: new speed (m/s) and tractive power at the flywheel (W, negative when braking).

    Newton's law with rolling, air and slope resistance, the force limited by what the engine has left for it (Guzzella
    and Sciarretta, Vehicle Propulsion Systems, 2013, equations 2.1 to 2.8).

    Args:
        wish: speed the driver wants, m/s.
        power: left for traction at the flywheel, W.
    """
    resistance = mass * (GRAVITY * (trucks.rolling + slope)) + (0.5 * AIR * trucks.drag_area) * speed * speed
    wanted = np.minimum(np.maximum((wish - speed) * 0.5, SOFTEST), HARDEST)
    most = DRIVELINE * power / np.maximum(speed, CRAWL)
    force = np.minimum(mass * wanted + resistance, most)
    new = speed + (force - resistance) / mass
    new = new * (new > STANDSTILL)
    return new, force * new / DRIVELINE


def engine_speed(speed: np.ndarray, running: np.ndarray) -> np.ndarray:
    """rpm in the gear of this speed (m/s); idle below, 0 where the engine is off."""
    gear = np.minimum((speed * FINENESS).astype(np.int64), len(GEARS) - 1)
    return np.maximum(GEARS[gear] * speed, IDLE) * running


def friction_power(rpm: np.ndarray) -> np.ndarray:
    """W lost inside the engine: friction pressure times displacement times working cycles per second."""
    return (FRICTION * DISPLACEMENT / 120.0) * rpm


def fuel_power(brake: np.ndarray, rpm: np.ndarray) -> np.ndarray:
    """W of fuel for `brake` W at the flywheel; braking drives the engine, and the injection is cut.

    The Willans line: indicated efficiency times fuel power = brake power + friction (Guzzella and Onder, Introduction
    to Modeling and Control of Internal Combustion Engine Systems, 2010, section 2.5.1).
    """
    return np.maximum(brake + friction_power(rpm), 0.0) * (1 / INDICATED) * (rpm > 0)


def engine_load(trucks: Trucks, brake: np.ndarray, rpm: np.ndarray) -> np.ndarray:
    """Brake power in percent of what the engine can give at this speed; 0 where it is off."""
    available = trucks.power * np.minimum(rpm * (1 / FULL_POWER_FROM), 1.0)
    return np.minimum(np.maximum(100.0 * brake / np.maximum(available, 1.0), 0.0), 100.0) * (rpm > 0)


def intake_depression(rpm: np.ndarray, load: np.ndarray, clogging: np.ndarray) -> np.ndarray:
    """kPa below the atmosphere behind the air filter; `clogging` is 1 for a clean one.

    The air a four-stroke engine draws (Heywood, Internal Combustion Engine Fundamentals, 1988, equation 2.27), up to
    2.3 times as much when charged; a pressure drop with the square of the flow, as over any orifice.
    """
    flow = AIR * DISPLACEMENT / 120.0 * rpm * (1.0 + 0.013 * load)
    return FILTER * clogging * flow * flow
