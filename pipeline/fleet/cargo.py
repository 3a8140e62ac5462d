"""The refrigerated box: air, goods, walls, doors and the compressor."""

import numpy as np

AIR_CAPACITY = 80e3  # J/K of the air and the inner skin
GOODS_CAPACITY = 6e6  # J/K
GOODS_EXCHANGE = 120.0  # W/K between air and goods
DOORS = 250.0  # W/K through open doors
SUN_ON_ROOF = 0.02  # K of outer skin per W/m2: absorptance over heat transfer
BAND = 3.0  # K above the goal at which the compressor gives all it has
LESS_PER_KELVIN, MORE_PER_KELVIN = 0.01, 0.012  # of cooling, of power; per K outside above 25 degC
PERFORMANCE = 1.9  # W of cooling per W at 25 degC


def compressor_share(box: np.ndarray, goal: np.ndarray, running: np.ndarray) -> np.ndarray:
    """Share of the full speed of an inverter-driven compressor under proportional control; only a running engine can
    feed it."""
    return np.minimum(np.maximum((box - goal) * (1 / BAND), 0.0), 1.0) * running


def cooling_power(share: np.ndarray, rated: np.ndarray, air: np.ndarray, health: np.ndarray) -> np.ndarray:
    """W taken out of the box; the warmer it is outside, the less (`rated`: at 25 degC)."""
    return share * rated * health * (1.0 - LESS_PER_KELVIN * (air - 25.0))


def compressor_power(share: np.ndarray, rated: np.ndarray, air: np.ndarray, health: np.ndarray) -> np.ndarray:
    """W of electricity; the warmer it is outside, the more."""
    return share * rated * health * ((1.0 + MORE_PER_KELVIN * (air - 25.0)) * (1 / PERFORMANCE))


def refrigerate(
    box: np.ndarray,
    goods: np.ndarray,
    cooling: np.ndarray,
    air: np.ndarray,
    sun: np.ndarray,
    open_doors: np.ndarray,
    loss: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """One second of two energy balances: new temperatures (degC) of the air in the box and of the goods.

    Walls with the K value of the ATP agreement (UN ECE, class FNA: at most 0.7 W/m2K, here about 0.4 over 60 m2)
    against the sol-air temperature (ASHRAE Handbook Fundamentals, chapter 18: air + absorptance * sun / transfer).

    Args:
        cooling: W. sun: W/m2. open_doors: 0 or 1. loss: W/K of the walls.
    """
    exchanged = GOODS_EXCHANGE * (box - goods)
    gained = loss * (air + SUN_ON_ROOF * sun - box) + DOORS * open_doors * (air - box) - exchanged - cooling
    return box + gained * (1 / AIR_CAPACITY), goods + exchanged * (1 / GOODS_CAPACITY)
