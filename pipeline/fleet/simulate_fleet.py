"""Many trucks at once: their physics stepped second by second over arrays (vehicles,), hour by hour.

In the loop over time only operations that IEEE 754 rounds exactly (+ - * / and comparisons) meet: what a truck does
then never depends on the trucks beside it, on how many they are, or on the vector units of the machine.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.fleet import battery, cargo, cooling, engine, tyres
from pipeline.fleet.drive_cycle import DriveCycle
from pipeline.fleet.faults import CODES, GAS, HEALTHS, Fault, apply_to_health, draw_faults
from pipeline.fleet.fleet_settings import HOUR, FleetSettings, departure, vehicle_name
from pipeline.fleet.sensors import CHANNELS, PLACE, Sensors
from pipeline.fleet.truck import Trucks, draw_trucks
from pipeline.fleet.weather import draw_weather

ROWS = pa.schema(
    [("time", pa.timestamp("ms")), ("vehicle", pa.string())]
    + [(channel.name, pa.float32()) for channel in CHANNELS]
    + [("fault", pa.int8())]
)
AT_ONCE = 500  # vehicles: enough to hide what a step costs in Python; a power of two would alias in the cache
SPAN = 300  # steps: few enough for the cache
CONDITIONS = ("air", "sun", "wish", "slope", "payload", "door", "stopped", "repaired")


@dataclass
class State:
    """What the next second needs to know, each (vehicles,): m/s, degC, share of the charge, W, 0 or 1."""

    speed: np.ndarray
    coolant: np.ndarray
    charge: np.ndarray
    front: np.ndarray
    rear: np.ndarray
    box: np.ndarray
    goods: np.ndarray
    auxiliaries: np.ndarray
    running: np.ndarray


def simulate_fleet(settings: FleetSettings, vehicles: range) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(vehicle, rows of one hour) of these vehicles: hour after hour, in each the vehicles in order; see `ROWS`.

    `fault` is the code of what is broken (`faults.CODES`), 0 while nothing is. Takes about half a megabyte per vehicle.
    """
    block = _Block(settings, vehicles)
    for first in range(0, settings.seconds, HOUR):
        yield from block.hour(first, min(HOUR, settings.seconds - first))


class _Block:
    """Some vehicles, simulated together."""

    def __init__(self, settings: FleetSettings, vehicles: range):
        self.settings, self.vehicles = settings, vehicles
        seed, seconds = settings.seed, settings.seconds
        self.trucks = draw_trucks(seed, vehicles)
        self.cycles = [DriveCycle(seed, vehicle) for vehicle in vehicles]
        self.weathers = [draw_weather(seed, vehicle, seconds) for vehicle in vehicles]
        self.sensors = [Sensors(seed, vehicle) for vehicle in vehicles]
        self.faults = [_FaultsInSight(iter(draw_faults(settings, vehicle))) for vehicle in vehicles]
        self.departures = [departure(settings, vehicle) for vehicle in vehicles]
        start = [weather.at(np.zeros(1), begin) for weather, begin in zip(self.weathers, self.departures, strict=True)]
        self.state = first_state(self.trucks, np.array([air[0] for air, _ in start]))

    def hour(self, first: int, seconds: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The next `seconds` seconds, which begin at second `first`."""
        faults = [in_sight.within(first, seconds) for in_sight in self.faults]
        conditions = self._conditions(first, seconds, faults)
        readings = np.empty((len(self.vehicles), len(CHANNELS), seconds), np.float32)
        for begin in range(0, seconds, SPAN):
            span = slice(begin, min(begin + SPAN, seconds))
            outside = {name: values[:, span].T.copy() for name, values in conditions.items()}
            truth = run(self.trucks, self.state, outside, self._health(first + begin, span.stop - begin, faults))
            for name, values in truth.items():
                readings[:, PLACE[name], span] = values.astype(np.float32).T
        milliseconds = 1000 * np.arange(first, first + seconds)
        for place, vehicle in enumerate(self.vehicles):
            reported = self.sensors[place].report(readings[place], first, faults[place])
            columns = [pa.array(values, from_pandas=True) for values in reported]  # NaN becomes null
            times = pa.array(milliseconds + 1000 * self.departures[place]).cast(pa.timestamp("ms"))
            name = pa.repeat(vehicle_name(vehicle), seconds)
            codes = pa.array(_codes(faults[place], first, seconds))
            yield vehicle, pa.RecordBatch.from_arrays([times, name, *columns, codes], schema=ROWS)

    def _conditions(self, first: int, seconds: int, faults: list[list[Fault]]) -> dict[str, np.ndarray]:
        """What comes from outside, (vehicles, seconds) each, by the names of `CONDITIONS`."""
        span = np.arange(first, first + seconds)
        arrays = np.empty((len(CONDITIONS), len(self.vehicles), seconds))
        for place, (weather, cycle) in enumerate(zip(self.weathers, self.cycles, strict=True)):
            arrays[:, place] = [*weather.at(span, self.departures[place]), *cycle.at(span), np.zeros(seconds)]
            for fault in faults[place]:
                if first <= fault.end < first + seconds:
                    arrays[-1, place, fault.end - first] = 1.0
        return dict(zip(CONDITIONS, arrays, strict=True))

    def _health(self, first: int, seconds: int, faults: list[list[Fault]]) -> dict[str, np.ndarray]:
        """(seconds, vehicles) by the names of `HEALTHS`."""
        health = {name: np.ones((seconds, len(self.vehicles))) for name in HEALTHS}
        for place, ours in enumerate(faults):
            for fault in _present(ours, first, seconds):
                apply_to_health(fault, {name: values[:, place] for name, values in health.items()}, first)
        return health


class _FaultsInSight:
    """The faults of one truck around the hour asked for; hours ascend."""

    def __init__(self, faults: Iterator[Fault]):
        self._coming, self._next, self._seen = faults, next(faults, None), []

    def within(self, first: int, seconds: int) -> list[Fault]:
        """Those that are present, or repaired, in `seconds` seconds from `first` on."""
        self._seen = [fault for fault in self._seen if fault.end >= first]
        while self._next is not None and self._next.begin < first + seconds:
            self._seen.append(self._next)
            self._next = next(self._coming, None)
        return list(self._seen)


def first_state(trucks: Trucks, air: np.ndarray) -> State:
    """Everything cold after a night outside at `air` (vehicles,) degC, the box at its goal, the battery nearly full."""
    zero = np.zeros_like(air)
    return State(
        speed=zero,
        coolant=air,
        charge=zero + 0.95,
        front=air,
        rear=air,
        box=trucks.cargo_goal,
        goods=trucks.cargo_goal,
        auxiliaries=zero,
        running=zero,
    )


RECORDED = (
    "speed", "rpm", "load", "fuel", "coolant", "fan", "volts", "amperes", "front", "rear", "box", "compressor"
)  # fmt: skip


def run(
    trucks: Trucks, state: State, conditions: dict[str, np.ndarray], health: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """True values (seconds, vehicles) of every channel, in its unit; `state` moves on to the last second.

    Args:
        conditions, health: (seconds, vehicles) by the names of `CONDITIONS` and `HEALTHS`.
    """
    seconds, vehicles = conditions["air"].shape
    trace = {name: np.empty((seconds, vehicles)) for name in RECORDED}
    payload = trucks.payload * conditions["payload"]
    loads = tyres.axle_loads(trucks.kerb_mass, payload)
    draws = battery.ELECTRONICS + battery.LIGHTS * (conditions["sun"] < battery.DARK)
    for second in range(seconds):
        now = {name: values[second] for name, values in conditions.items()}
        sound = {name: values[second] for name, values in health.items() if name not in GAS}
        wheels = tuple(load[second] for load in loads)
        step = _second(trucks, state, now, sound, trucks.kerb_mass + payload[second], wheels, draws[second])
        for name, values in zip(RECORDED, step, strict=True):
            trace[name][second] = values
    return _channels(trucks, trace, conditions, health)


def _second(trucks, state, now, sound, mass, wheels, draw) -> tuple[np.ndarray, ...]:
    """Moves `state` on by a second; what it returns is in the order of `RECORDED`."""
    air = now["air"]
    running = 1.0 - now["stopped"]
    starting = running * (1.0 - state.running)
    _repair(trucks, state, now["repaired"])
    speed, traction = engine.drive(
        trucks, state.speed, now["wish"], now["slope"], mass, (trucks.power - state.auxiliaries) * running
    )
    rpm = engine.engine_speed(speed, running)
    brake = traction + state.auxiliaries
    fuel = engine.fuel_power(brake, rpm)
    load = engine.engine_load(trucks, brake, rpm)
    fan = cooling.fan_share(state.coolant, running, sound["fan"])
    coolant = cooling.cool(state.coolant, fuel, air, speed, fan, trucks.radiator, sound["level"])
    share = cargo.compressor_share(state.box, trucks.cargo_goal, running)
    electric = cargo.compressor_power(share, trucks.refrigeration, air, sound["compressor"])
    cold = cargo.cooling_power(share, trucks.refrigeration, air, sound["cooling"])
    box, goods = cargo.refrigerate(state.box, state.goods, cold, air, now["sun"], now["door"], trucks.box_loss)
    drawn = draw + electric * (1 / battery.NOMINAL) + battery.STARTER * starting
    charge, volts, amperes, given = battery.charge(
        state.charge, drawn, rpm, air, trucks.battery, trucks.regulator, sound["alternator"]
    )
    state.front = tyres.warm(state.front, wheels[0], trucks.rolling, speed, air, 1.0)
    state.rear = tyres.warm(state.rear, wheels[1], trucks.rolling, speed, air, 2.0)
    state.auxiliaries = battery.alternator_power(volts, given) + cooling.fan_power(fan)
    state.speed, state.coolant, state.charge = speed, coolant, charge
    state.box, state.goods, state.running = box, goods, running
    return speed, rpm, load, fuel, coolant, fan, volts, amperes, state.front, state.rear, box, electric


def _repair(trucks: Trucks, state: State, repaired: np.ndarray) -> None:
    """The workshop gives the truck back with a charged battery and freshly loaded, pre-cooled goods."""
    if repaired.any():
        done = repaired > 0
        state.charge = np.where(done, 0.95, state.charge)
        state.box = np.where(done, trucks.cargo_goal, state.box)
        state.goods = np.where(done, trucks.cargo_goal, state.goods)


def _channels(trucks, trace, conditions, health) -> dict[str, np.ndarray]:
    """The true value of every channel from what the loop recorded."""
    axles = {"front": trace["front"], "rear": trace["rear"]}
    pressures = {
        name.replace("gas", "tyre"): tyres.gauge_pressure(
            trucks.tyre_pressure, axles[name.split("_")[1]], health[name]
        )
        for name in GAS
    }
    return {
        "speed": trace["speed"] * 3.6,
        "engine_speed": trace["rpm"],
        "engine_load": trace["load"],
        "fuel_rate": trace["fuel"] * (3600 / engine.DIESEL),
        "coolant": trace["coolant"],
        "fan": trace["fan"] * cooling.FAN_RPM,
        "intake_depression": engine.intake_depression(trace["rpm"], trace["load"], health["clogging"]),
        "battery_voltage": trace["volts"],
        "battery_current": trace["amperes"],
        **pressures,
        "cargo": trace["box"],
        "compressor": trace["compressor"] / 1000,
        "door": conditions["door"],
        "ambient": conditions["air"],
    }


def _present(faults: list[Fault], first: int, seconds: int) -> list[Fault]:
    return [fault for fault in faults if fault.begin < first + seconds and fault.end > first]


def _codes(faults: list[Fault], first: int, seconds: int) -> np.ndarray:
    codes = np.zeros(seconds, np.int8)
    for fault in _present(faults, first, seconds):
        codes[fault.seconds_in(first, seconds)] = CODES[fault.kind]
    return codes
