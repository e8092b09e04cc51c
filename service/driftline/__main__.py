"""`python -m driftline`."""

from driftline.cli import app

app(prog_name="driftline")
