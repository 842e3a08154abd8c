"""Toy runner for the engine's tests: small arithmetic, and every way of going wrong, chosen by `spec["do"]`."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

from crucis.canon import step_key
from crucis.engine.steps import Step
from crucis.errors import Divergence, Refusal, Stopped
from crucis.records import Result


class OutOfMemoryError(RuntimeError):
    """Named like the one of a framework."""


def step(do="add", inputs=None, group=None, publishes=(), label="", sealed=False, hints=None, needs=None, **params):
    """A step whose spec is what it does."""
    inputs = inputs or {}
    spec = {"kind": "toy", "do": do, "params": params, "inputs": inputs}
    more = {"needs": needs} if needs else {}
    return Step(
        step_key(spec), spec, inputs, group=group, publishes=tuple(publishes), label=label or f"{do} {params}",
        sealed=sealed, hints=hints or {}, **more,
    )  # fmt: skip


def at_key(key, at):
    return step_key({"kind": "at", "of": key, "at": at})


def run(steps, contexts):
    if len(steps) > 1:
        return batch(steps, contexts)
    return [one(steps[0], contexts[0])]


def one(this, ctx):
    do, params = this.spec["do"], this.spec["params"]
    mark(params, this)
    return globals()[f"do_{do}"](ctx, this, **{k: v for k, v in params.items() if k != "marks"})


def mark(params, this):
    """Append a line to a shared file: how often each step was begun."""
    if "marks" in params:
        with Path(params["marks"]).open("ab") as file:
            file.write(f"{this.key}\n".encode())


def total(ctx):
    out = 0.0
    for record in ctx.records.values():
        for each in record if isinstance(record, list) else [record]:
            out += each.values["x"]
    return out


def do_add(ctx, this, x=0.0, **_):
    return Result(values={"x": x + total(ctx)})


def do_hash(ctx, this, seed=0, rounds=2000, **_):
    """Slow, resumable, and its value depends on every round and input."""
    state, i = hashlib.sha256(f"{seed} {total(ctx)!r}".encode()).hexdigest(), 0
    save = ctx.scratch / "state.json"
    if save.exists():
        state, i = json.loads(save.read_text())
    while i < rounds:
        state = hashlib.sha256(state.encode()).hexdigest()
        i += 1
        if i % 100 == 0:
            draft = ctx.scratch / "draft"
            draft.write_text(json.dumps([state, i]))
            draft.replace(save)
            ctx.beat(i=i, of=rounds)
            time.sleep(this.hints.get("pause", 0.0))
        if ctx.stopping():
            raise Stopped("saved")
    (ctx.out / "state.txt").write_text(state)
    return Result(values={"x": int(state[:12], 16) / 16**12})


def do_train(ctx, this, rounds=5, diverge=0, forget=False, wait="", **_):
    """Publishes a checkpoint after each round that `publishes` names; goes on after the first when `wait` is there."""
    x = total(ctx)
    for i in range(1, rounds + 1):
        x = x * 1.5 + i
        if i == diverge:
            raise Divergence("the loss is not finite", i, x)
        key = at_key(this.key, i)
        if key in this.publishes and not forget:
            files = ctx.scratch / f"at{i}"
            files.mkdir(exist_ok=True)
            (files / "model.txt").write_text(repr(x))
            ctx.publish(key, files, Result(values={"step": i, "x": x}))
        ctx.beat(i=i)
        limit = time.monotonic() + 60.0
        while wait and not Path(wait).exists() and time.monotonic() < limit:
            time.sleep(0.01)
    return Result(values={"x": x})


def do_sleep(ctx, this, seconds=0.1, **_):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)
        ctx.beat(left=end - time.monotonic())
        if ctx.stopping():
            raise Stopped("asked")
    return Result(values={"x": 1.0})


def do_stubborn(ctx, this, seconds=60.0, **_):
    """Beats, but never looks whether it should stop."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.02)
        ctx.beat()
    return Result(values={"x": 1.0})


def do_die(ctx, this, times=1, number=int(signal.SIGKILL), where="", **_):
    """Dies the first `times` times (counted in a file), then succeeds."""
    if count(where) < times:
        os.kill(os.getpid(), number)
        time.sleep(5)
    return Result(values={"x": 2.0})


def do_leave(ctx, this, **_):
    os._exit(7)


def do_hang(ctx, this, times=99, where="", **_):
    if count(where) < times:
        time.sleep(600)
    return Result(values={"x": 3.0})


def do_hold_lock(ctx, this, times=99, where="", **_):
    """One endless C call that keeps the interpreter's lock."""
    if count(where) < times:
        ctypes.PyDLL(None).read(os.pipe()[0], ctypes.create_string_buffer(1), 1)
    return Result(values={"x": 3.0})


def do_nan_at(ctx, this, at=7, **_):
    raise Divergence("the loss is not finite", at, 0.5)


def do_refuse(ctx, this, **_):
    raise Refusal("too_few", "three points are needed, one came")


def do_raise(ctx, this, text="a fault of the leaf", **_):
    raise KeyError(text)


def do_raise_first(ctx, this, n=1, kind="connection", where="", **_):
    if count(where) < n:
        raise {"connection": ConnectionError("reset"), "gpu": OutOfMemoryError("CUDA out of memory")}[kind]
    return Result(values={"x": 4.0})


def do_value(ctx, this, which="nan", **_):
    import numpy as np

    return Result(
        values={
            "nan": {"x": float("nan")},
            "inner": {"x": 1.0, "curve": {"10": 0.5, "20": float("inf")}},
            "float32": {"x": np.float32(0.1), "n": np.int64(3)},
            "large": {f"v{i}": float(i) / 7 for i in range(100_000)},
            "bytes": {"x": b"no"},
        }[which]
    )


def do_clock(ctx, this, **_):
    return Result(values={"x": time.time()})


def do_write(ctx, this, name="a.txt", size=10, **_):
    (ctx.out / name).write_bytes(b"z" * size)
    return Result(values={"x": 1.0})


def do_print(ctx, this, lines=20000, **_):
    for i in range(lines):
        print("x" * 100, i)
        ctx.note("debug", i=i)
        if i % 1000 == 0:
            ctx.beat(i=i)
    print("to the other side", file=sys.stderr)
    return Result(values={"x": 1.0})


def do_company(ctx, this, seed=0, **_):
    return Result(values={"x": seed * 2.0, "company": 1.0})


def batch(steps, contexts):
    """Several seeds at once; `fate` of one of them goes wrong."""
    results = []
    for this, ctx in zip(steps, contexts, strict=True):
        params = this.spec["params"]
        mark(params, this)
        fate = params.get("fate", "")
        if fate == "nan":
            results.append(Divergence("the loss is not finite", 3))
        elif fate == "raise_batch":
            raise RuntimeError("the batch fell over")
        elif fate == "raise":
            results.append(RuntimeError("this one fell over"))
        else:
            results.append(Result(values={"x": params["seed"] * 2.0, "company": float(len(steps))}))
    return results


def count(where):
    """How often this was called with the same file, before this time."""
    path = Path(where)
    n = int(path.read_text()) if path.exists() else 0
    path.write_text(str(n + 1))
    return n


def do_fill(ctx, this, where="", size=4096, **_):
    """The first time no file may grow beyond 100 bytes, as on a full disk."""
    import resource

    if count(where) == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    try:
        (ctx.out / "a.bin").write_bytes(b"z" * size)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return Result(values={"x": 1.0})


def do_device(ctx, this, **_):
    time.sleep(0.02)
    return Result(values={"device": os.environ.get("CUDA_VISIBLE_DEVICES", "")})
