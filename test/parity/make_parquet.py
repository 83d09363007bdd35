# /// script
# requires-python = ">=3.11,<3.12"
# dependencies = ["numpy==2.3.5", "pandas==2.3.3", "pyarrow==26.0.1"]
# ///
"""Makes internal/table/testdata/pandas.parquet, a file of the column types that pandas writes: run `uv run test/parity/make_parquet.py`."""

import decimal
import pathlib

import numpy as np
import pandas as pd

days = ["2024-01-01T00:00:00", "2024-07-02T03:04:05.123456", "2024-01-03T00:00:00"]
frame = pd.DataFrame({
    "int8": np.array([1, 2, -3], "int8"),
    "uint32": np.array([1, 2, 4_000_000_000], "uint32"),
    "float32": np.array([1.5, np.nan, 2], "float32"),
    "object": ["a", None, "é"],
    "category": pd.Categorical(["x", "y", "x"]),
    "bool": [True, False, True],
    "naive": pd.to_datetime(days, format="ISO8601"),
    "zoned": pd.to_datetime(days, format="ISO8601").tz_localize("Europe/Berlin"),
    "date": [pd.Timestamp(d).date() for d in days],
    "decimal": [decimal.Decimal("1.25"), decimal.Decimal("-2.50"), None],
    "nullable": pd.array([1, None, 3], dtype="Int64"),
    "string": pd.array(["p", "q", "r"], dtype="string[pyarrow]"),
})
frame.to_parquet(pathlib.Path(__file__).parents[2] / "internal/table/testdata/pandas.parquet", index=False)
