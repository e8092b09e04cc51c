"""The flights of 2013 as files for `driftline backtest`: a model of January, its reference, and the rest of the year.

    pip install 'driftline[backtest,demo]'
    python flights.py DIRECTORY
    cd DIRECTORY && driftline backtest flights.parquet --reference reference.parquet --columns columns.yaml \
        --plot flights.html
"""

from __future__ import annotations

import sys
from pathlib import Path

from driftline.demo.flights import read_flights
from driftline.demo.model import MODEL, VERSION, DelayModel
from driftline.demo.reference import write_reference

COLUMNS = f"outcome_time: outcome_time\nconstants: {{model: {MODEL}, version: {VERSION}}}\n"


def main(directory: Path) -> None:
    """Train on January, predict the rest: February and March are the reference, April to December are watched."""
    directory.mkdir(parents=True, exist_ok=True)
    flights = read_flights()
    model = DelayModel(flights.take(flights.month == 1))
    for name, months in (("reference", (2, 3)), ("flights", tuple(range(4, 13)))):
        chosen = flights.take((flights.month >= months[0]) & (flights.month <= months[-1]))
        write_reference(directory / f"{name}.parquet", chosen, model.predict(chosen))
    (directory / "columns.yaml").write_text(COLUMNS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
