"""The command line. Each command, or group of commands, lives in its own module and is registered here."""

import os

# Before numpy is loaded: its products here are small, and workers share the cores. A pool of threads for each would
# only spin.
for _library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

from driftline.cli import (  # noqa: E402
    backtest,
    blocks,
    config,
    deadletter,
    demo,
    explain,
    incidents,
    model,
    notify,
    performance,
    publish,
    reference,
    retrain,
    run,
    simulate,
    status,
    tail,
    topics,
    tune,
)
from driftline.cli.app import app  # noqa: E402

app.command(epilog=demo.EXAMPLES)(demo.demo)
app.command(epilog=run.EXAMPLES)(run.run)
app.command(epilog=publish.EXAMPLES)(publish.publish)
app.command(epilog=simulate.EXAMPLES)(simulate.simulate)
app.command(epilog=tail.EXAMPLES)(tail.tail)
app.command(epilog=retrain.EXAMPLES)(retrain.retrain)
app.command(epilog=status.EXAMPLES)(status.status)
app.command("backtest", epilog=backtest.EXAMPLES)(backtest.backtest_files)
app.command(epilog=tune.EXAMPLES)(tune.tune)
app.command(epilog=explain.EXAMPLES)(explain.explain)
app.command(epilog=performance.EXAMPLES)(performance.performance)
app.add_typer(incidents.commands, name="incidents")
app.add_typer(notify.commands, name="notify")
app.add_typer(topics.commands, name="topics")
app.add_typer(reference.commands, name="reference")
app.add_typer(model.commands, name="model")
app.add_typer(deadletter.commands, name="deadletter")
app.add_typer(blocks.commands, name="blocks")
app.add_typer(config.commands, name="config")

__all__ = ["app"]
