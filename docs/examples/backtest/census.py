"""nannyml's employment set (US census, ACS 2015 to 2018) as files for `driftline backtest`: four years in which
practically nothing happens.

    pip install 'driftline[backtest]'
    pip install --no-deps nannyml==0.13.1     # its data files alone are read
    python census.py DIRECTORY
    cd DIRECTORY && driftline backtest analysis.parquet --reference reference.parquet --columns columns.yaml \
        --plot census.html

Its rows have a year and no day. They are put in random order within it (the files list institutions last, which is
no drift) and spread evenly.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

DAY_MS = 86_400_000
COLUMNS = """\
prediction: prediction
score: predicted_probability
outcome: employed
features: [AGEP, SCHL, MAR, RELP, DIS, ESP, CIT, MIG, MIL, ANC, NATIVITY, DEAR, DEYE, DREM, SEX, RAC1P]
constants: {model: employment, version: MA}
"""


def with_time(table: pa.Table) -> pa.Table:
    """`time` in ms, from the year of each row."""
    year = table["year"].to_numpy()
    starts = {y: int(np.datetime64(f"{y}-01-01", "ms").astype(np.int64)) for y in np.unique(year)}
    time = np.empty(len(year), np.int64)
    random = np.random.default_rng(2015)
    for y, start in starts.items():
        rows = np.flatnonzero(year == y)
        time[random.permutation(rows)] = start + np.linspace(0, 365 * DAY_MS, len(rows), endpoint=False).astype(
            np.int64
        )
    return table.append_column("time", pa.array(time)).sort_by("time")


def main(directory: Path) -> None:
    spec = importlib.util.find_spec("nannyml")
    assert spec is not None and spec.submodule_search_locations, "pip install --no-deps nannyml==0.13.1"
    data = Path(spec.submodule_search_locations[0]) / "datasets" / "data"
    directory.mkdir(parents=True, exist_ok=True)
    reference = parquet.read_table(data / "employment_MA_reference.pq")
    analysis = parquet.read_table(data / "employment_MA_analysis.pq")
    target = parquet.read_table(data / "employment_MA_analysis_target.pq")
    analysis = analysis.append_column("employed", target["employed"])
    for name, table in (("reference", reference), ("analysis", analysis)):
        parquet.write_table(with_time(table), directory / f"{name}.parquet")
    (directory / "columns.yaml").write_text(COLUMNS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
