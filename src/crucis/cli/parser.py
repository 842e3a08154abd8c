"""The words of the command line: one table of commands, their arguments and what each says of itself."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

EPILOG = "Exit codes: 0 done, 1 a check found something, 2 bad input, 3 steps failed, 4 blocked or sealed, 130 stopped."


def _later(module: str, function: str) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        return getattr(import_module(f".{module}", __package__), function)(arguments)

    return run


def _study(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", help="a study file, or the name of a shipped protocol")
    parser.add_argument("--preset", metavar="NAME", help="a named set of overrides of the study")
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="PATH=VALUE",
                        help="override one value, for instance seeds=5; may be given again")  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="really use more than 20 seeds")


def _place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", metavar="DIR", help="where records live (default: CRUCIS_STORE, nearest .crucis)")
    parser.add_argument("--data", metavar="DIR", help="where data sets lie (default: CRUCIS_DATA)")
    parser.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda or auto (default)")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--fast", action="store_true", help="allow kernels that are not deterministic (recorded)")
    mode.add_argument("--deterministic", dest="fast", action="store_false", help="deterministic kernels only (default)")
    parser.add_argument("--ranks", type=int, metavar="N", help="processes that train each network together (default 1)")


def _part(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", action="append", default=[], metavar="FACTOR=LEVEL", help="a part of the cells")
    parser.add_argument("--stages", metavar="A,B", default="", help="a part of the stages")


def _format(parser: argparse.ArgumentParser, *choices: str) -> None:
    parser.add_argument("--format", choices=choices, default=choices[0], help=f"default: {choices[0]}")


def _new(p: argparse.ArgumentParser) -> None:
    p.add_argument("name", help="a shipped protocol to copy out, or 'study' for the smallest study")
    p.add_argument("file", nargs="?", help="where to write it (default: NAME.yaml)")


def _check(p: argparse.ArgumentParser) -> None:
    _study(p)
    p.add_argument(
        "--model",
        action="store_true",
        help="also build the networks and check them before training; 'study' may then be a net",
    )
    p.add_argument("--on", metavar="DATA", help="with --model and a net: the data set to check it on (default: digits)")
    p.add_argument("--data", metavar="DIR", help="where data sets lie (default: CRUCIS_DATA)")
    _format(p, "text", "json")


def _plan(p: argparse.ArgumentParser) -> None:
    _study(p)
    _place(p)
    _part(p)
    p.add_argument("--steps", action="store_true", help="list every step with its key and why it would run")
    p.add_argument("--pilot", action="store_true", help="time a few real steps of what no record predicts")
    p.add_argument("--workers", type=int, metavar="N", help="predict the wall time for N workers")
    _format(p, "text", "json")


def _run(p: argparse.ArgumentParser) -> None:
    _study(p)
    _place(p)
    _part(p)
    p.add_argument("--workers", type=int, metavar="N", help="worker processes (default: one per core)")
    p.add_argument("--again", action="append", default=[], metavar="KEY|failed", help="forget earlier failures")
    p.add_argument("--quiet", action="store_true", help="no progress, only the closing lines")
    p.add_argument("--profile", action="store_true", help="note where the time of each training goes (no key changes)")
    p.add_argument("--weights", action="store_true", help="also make weights again that crucis gc --weights gave up")
    p.add_argument("--stall", type=float, default=900, metavar="S", help="seconds of silence that end a worker (900)")
    _tracking(p)


def _tracking(p: argparse.ArgumentParser) -> None:
    p.add_argument("--track", action="append", default=[], metavar="NAME[=PLACE]",
                   help="also write to tensorboard, mlflow, wandb or clearml while it runs; may be given again "
                        "(default: CRUCIS_TRACK)")  # fmt: skip
    p.add_argument("--track-models", action="store_true", help="give trackers the networks' weights too")


def _track(p: argparse.ArgumentParser) -> None:
    _read(p)
    p.add_argument("--to", action="append", default=[], metavar="NAME[=PLACE]",
                   help="tensorboard, mlflow, wandb or clearml, and a folder or (mlflow) an address; may be given "
                        "again")  # fmt: skip
    p.add_argument("--models", action="store_true", help="the networks' weights too")


def _lr(p: argparse.ArgumentParser) -> None:
    _study(p)
    _place(p)
    p.add_argument("--stage", metavar="NAME", help="the stage whose networks are tested (default: the only one)")
    p.add_argument("--only", action="append", default=[], metavar="FACTOR=LEVEL", help="a part of the cells")
    p.add_argument("--start", type=float, metavar="RATE", help="first rate of the ramp (1e-7)")
    p.add_argument("--end", type=float, metavar="RATE", help="its last rate, if nothing breaks before (10)")
    p.add_argument("--steps", type=int, metavar="N", help="optimiser steps of the ramp (200)")
    p.add_argument("--hold", type=int, metavar="N", help="optimiser steps of a trial at a fixed rate (100)")
    p.add_argument("--factor", type=float, metavar="X", help="how far above its best a loss has diverged (4)")
    p.add_argument("--out", metavar="FILE", help="draw it: FILE.svg, FILE.png or FILE.pdf")
    p.add_argument("--workers", type=int, metavar="N", help="worker processes (default: one per core)")
    p.add_argument("--quiet", action="store_true", help="no progress")
    _format(p, "text", "json")


def _read(p: argparse.ArgumentParser) -> None:
    _study(p)
    _place(p)


def _list(p: argparse.ArgumentParser) -> None:
    p.add_argument("shelf", nargs="?", help="nets, data, protocols, instruments, ... (default: all shelves)")


def _show(p: argparse.ArgumentParser) -> None:
    p.add_argument("what", help="a leaf, a study (prints the resolved text), or a record's key")
    p.add_argument("--preset", metavar="NAME")
    p.add_argument("--set", dest="sets", action="append", default=[], metavar="PATH=VALUE")
    p.add_argument("--store", metavar="DIR")


def _explain(p: argparse.ArgumentParser) -> None:
    _study(p)
    p.add_argument("path", help="for instance stages.model.lr, or a stage")
    _place(p)


def _diff(p: argparse.ArgumentParser) -> None:
    p.add_argument("first")
    p.add_argument("second")
    _place(p)


def _table(p: argparse.ArgumentParser) -> None:
    _read(p)
    p.add_argument("--analysis", metavar="NAME", help="the table of one analysis, as the report shows it")
    _format(p, "text", "csv", "json", "md", "latex")


def _report(p: argparse.ArgumentParser) -> None:
    _read(p)
    p.add_argument("--force", action="store_true", help="write it again although nothing changed")


def _verify(p: argparse.ArgumentParser) -> None:
    p.add_argument("what", nargs="?", help="a study, a record's key or an archive (default: the whole store)")
    p.add_argument("--preset", metavar="NAME")
    p.add_argument("--set", dest="sets", action="append", default=[], metavar="PATH=VALUE")
    p.add_argument("--store", metavar="DIR")
    p.add_argument("--data", metavar="DIR")


def _reproduce(p: argparse.ArgumentParser) -> None:
    p.add_argument("what", help="a record's key, a study, or an archive that crucis bundle wrote")
    p.add_argument("part", nargs="?", help="of a study: a claim, an analysis, a figure, a stage or a record's key")
    p.add_argument("--runs", type=int, default=1, metavar="N", help="how often to recompute (default 1)")
    p.add_argument("--preset", metavar="NAME")
    p.add_argument("--set", dest="sets", action="append", default=[], metavar="PATH=VALUE")
    p.add_argument("--workers", type=int, metavar="N")
    p.add_argument("--trust", action="store_true", help="show the code of an archive and run it")
    _place(p)


def _unseal(p: argparse.ArgumentParser) -> None:
    _study(p)
    _place(p)
    p.add_argument("--workers", type=int, metavar="N")
    p.add_argument("--quiet", action="store_true")
    _tracking(p)


def _bundle(p: argparse.ArgumentParser) -> None:
    _study(p)
    _place(p)
    p.add_argument("-o", "--output", metavar="FILE.zip", help="default: STUDY.zip")
    p.add_argument("--diff", action="store_true", help="also what differed from the commit in git (may hold anything)")


def _restore(p: argparse.ArgumentParser) -> None:
    p.add_argument("bundle", help="an archive that crucis bundle wrote")
    p.add_argument("folder", nargs="?", help="an empty folder, or one with a store (default: the study's name)")
    p.add_argument("--trust", action="store_true", help="show the code and pages of the archive, and take them too")
    p.add_argument("--store", metavar="DIR", help="where the records go (default: .crucis in the folder)")


def _doctor(p: argparse.ArgumentParser) -> None:
    _read(p)
    p.add_argument("--quick", action="store_true", help="run no trials, not even short ones")
    _format(p, "text", "json")


def _recipes(p: argparse.ArgumentParser) -> None:
    p.add_argument("action", choices=("list", "show", "audit"))
    p.add_argument("target", nargs="?", help="show: a recipe; audit: a study or a record's key")
    p.add_argument("--claims", metavar="FILE.yaml", help="audit: a list of {recipe, key, claimed, unit, reference}")
    p.add_argument("--recipe", metavar="NAME[@WHO]", help="audit: hold every training against this recipe")
    p.add_argument("--preset", metavar="NAME")
    p.add_argument("--set", dest="sets", action="append", default=[], metavar="PATH=VALUE")
    p.add_argument("--yes", action="store_true", help="really use more than 20 seeds")
    _place(p)
    _format(p, "text", "json")


def _gc(p: argparse.ArgumentParser) -> None:
    p.add_argument("--store", metavar="DIR")
    p.add_argument("--keep", default="90d", metavar="AGE", help="plans younger than this keep their records (90d)")
    p.add_argument("--rest", default="7d", metavar="AGE", help="records younger than this stay as they are (7d)")
    p.add_argument("--weights", action="store_true", help="also give up weights that can be computed again here")
    p.add_argument("--yes", action="store_true", help="really remove; without it, only say what would go")


def _fmt(p: argparse.ArgumentParser) -> None:
    p.add_argument("study", help="a study file")
    p.add_argument("--check", action="store_true", help="change nothing; exit 1 if the file would change")


def _schema(p: argparse.ArgumentParser) -> None:
    p.add_argument("--output", metavar="FILE", help="default: standard output")


def _diagram(p: argparse.ArgumentParser) -> None:
    p.add_argument("net", help="an architecture as a study writes it: name, ./file.py or '{name: {parameter: value}}'")
    p.add_argument("--against", metavar="NET", help="draw this one beside it, with what differs in colour")
    p.add_argument(
        "--for", dest="set", default="digits", metavar="DATASET", help="shape of the input (default: digits)"
    )
    p.add_argument("--data", metavar="DIR", help="where data sets lie (default: CRUCIS_DATA)")
    p.add_argument("-o", "--output", default="diagram.svg", metavar="FILE", help="default: diagram.svg")


def _work(p: argparse.ArgumentParser) -> None:
    p.add_argument("plan", help="a plan file, or its digest in the store")
    p.add_argument("--store", metavar="DIR", required=True)
    p.add_argument("--workers", type=int, metavar="N")
    p.add_argument("--quiet", action="store_true")


def _revise(p: argparse.ArgumentParser) -> None:
    p.add_argument("name", help="a leaf (nets/mlp) or a room's file (train/fit)")
    p.add_argument("--same-numbers", action="store_true", help="the numbers did not change: record the new digest")


def _gate(p: argparse.ArgumentParser) -> None:
    _study(p)
    p.add_argument("name", nargs="?", help="one gate (default: all)")
    _place(p)
    p.add_argument("--known", action="store_true", help="gather nothing; judge on what is there")
    p.add_argument("--commands", action="store_true", help="also run the commands of 'check' and the guide (a shell)")
    p.add_argument("--again", action="store_true", help="gather everything anew")
    p.add_argument("--workers", type=int, metavar="N")
    _format(p, "text", "json")


def _card(p: argparse.ArgumentParser) -> None:
    _study(p)
    _place(p)
    which = p.add_mutually_exclusive_group(required=True)
    which.add_argument("--method", action="store_true", help="the method card; what persons wrote in it is kept")
    which.add_argument("--model", metavar="STAGE[@FACTOR=LEVEL]", help="a model card for the Hugging Face hub")
    which.add_argument("--guide", action="store_true", help="a reproduction guide to begin with")
    which.add_argument("--checklist", choices=("neurips", "acm"), help="answers that follow from records")
    p.add_argument("--output", metavar="FILE", help="where to write it")


COMMANDS: dict[str, tuple[str, str, str, Callable[[argparse.ArgumentParser], None]]] = {
    "new": ("studies", "new", "write a study to begin with", _new),
    "check": ("studies", "check", "all faults of a study, without running anything", _check),
    "plan": ("studies", "plan", "every step, what is cached, why the others would run, what it will cost", _plan),
    "run": ("running", "run", "run what is missing, judge, write the report", _run),
    "lr": ("rates", "lr", "which learning rates a study's networks stand, before they are trained", _lr),
    "status": ("studies", "status", "what is done, failed, sealed or missing, and why", _read),
    "list": ("shelves", "list_shelf", "what a study can use", _list),
    "show": ("shelves", "show", "a leaf's page, a study's resolved text, or a record", _show),
    "explain": ("studies", "explain", "how a value came about", _explain),
    "diff": ("studies", "diff", "which steps two studies share", _diff),
    "table": ("studies", "table", "one row per cell and seed", _table),
    "report": ("studies", "report", "write the report from what is in the store", _report),
    "track": ("tracking", "track", "write what is in the store to TensorBoard, MLflow, W&B or ClearML", _track),
    "verify": ("stores", "verify", "check every checksum and key", _verify),
    "reproduce": ("stores", "reproduce", "compute again and compare bit for bit", _reproduce),
    "unseal": ("running", "unseal", "run the steps that read a test split (recorded)", _unseal),
    "doctor": (
        "doctor",
        "doctor",
        "what a senior colleague would say: findings with evidence and the next action",
        _doctor,
    ),
    "bundle": ("archives", "bundle", "a study with its records in one archive", _bundle),
    "restore": ("archives", "restore", "check an archive and bring its study to life", _restore),
    "recipes": ("recipes", "recipes", "what papers trained with, and claims held against it", _recipes),
    "gate": ("gates", "gate", "gather the evidence of gates and decide", _gate),
    "card": ("gates", "card", "write a method card, a model card or a checklist", _card),
    "gc": ("stores", "gc", "say (or remove) what no study needs any more", _gc),
    "diagram": ("diagram", "diagram", "draw a network, or two with what differs", _diagram),
    "fmt": ("studies", "fmt", "put a study file into its usual order", _fmt),
    "schema": ("shelves", "schema", "a JSON Schema of studies, for editors", _schema),
    "work": ("running", "work", "a bare supervisor on a plan and a store", _work),
    "revise": ("shelves", "revise", "note a change of built-in code (for those who change it)", _revise),
}


def build() -> argparse.ArgumentParser:
    """The whole parser; about two milliseconds."""
    parser = argparse.ArgumentParser(
        prog="crucis", epilog=EPILOG,
        description="A laboratory for deep-learning experiments: one YAML file states a question, "
                    "one command answers it.",
    )  # fmt: skip
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (module, function, summary, arguments) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        arguments(command)
        command.set_defaults(run=_later(module, function))
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from .. import __version__

        print(f"crucis {__version__}")
        parser.exit()


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Words to a namespace with the command's function as `run`; exits with 2 and usage when they are off."""
    return build().parse_args(argv)
