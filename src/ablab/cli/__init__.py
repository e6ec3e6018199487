"""The command line: one file a verb. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import typer

from ablab.cli import (
    check,
    compare,
    data,
    demo,
    diagnose,
    evaluate,
    export,
    lr,
    parts,
    plan,
    predict,
    report,
    run,
    serve,
    status,
    studies,
    train,
    weights,
)

app = typer.Typer(
    name="ablab",
    help="Which of your changes help, by how much, how sure, and at what cost.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("plan")(plan.plan)
app.command("run")(run.run)
app.command("status")(status.status)
app.command("studies")(studies.studies)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("train")(train.train)
app.command("lr")(lr.lr)
app.command("diagnose")(diagnose.diagnose)
app.command("eval")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("export")(export.export)
app.command("serve")(serve.serve)
app.add_typer(data.app, name="data")
app.add_typer(parts.app, name="parts")
app.command("check")(check.check)
app.command("weights")(weights.weights)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        from ablab import __version__

        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """The command `ablab`."""
    app()
