"""Weight files: bytes are a function of content, ties and strides survive, what does not fit is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from crucis.nets.weights import WeightsError, load_weights, restore, save_weights


def tied() -> nn.Module:
    net = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5, bias=False))
    net[1].weight = net[0].weight
    return net


def convolutional() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))


def header(path: Path) -> dict:
    data = path.read_bytes()
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


def test_ties_are_written_once_and_come_back_tied(tmp_path: Path):
    net, path = tied(), tmp_path / "w"
    save_weights(path, net)
    head = header(path)
    assert set(head) - {"__metadata__"} == {"0.weight"}
    assert list(head["__metadata__"]) == ["crucis"], "more than one key has no fixed order"
    state = load_weights(path)
    assert state["1.weight"] is state["0.weight"]
    other = tied()
    restore(other, path)
    assert torch.equal(other[0].weight, net[0].weight) and other[0].weight is other[1].weight


def test_no_metadata_without_ties(tmp_path: Path):
    save_weights(tmp_path / "w", convolutional())
    assert "__metadata__" not in header(tmp_path / "w")


def test_bytes_do_not_depend_on_strides_order_or_process(tmp_path: Path):
    state = {"b": torch.arange(24.0).view(1, 2, 3, 4), "a": torch.ones(2, dtype=torch.int64)}
    save_weights(tmp_path / "1", state)
    last = {"a": state["a"].clone(), "b": state["b"].to(memory_format=torch.channels_last)}
    save_weights(tmp_path / "2", last)
    code = (
        "import torch, pathlib, sys; from crucis.nets.weights import save_weights\n"
        "t = torch.arange(24.0).view(1, 2, 3, 4); u = torch.ones(2, dtype=torch.int64)\n"
        "save_weights(pathlib.Path(sys.argv[1]), {'a': u, 'b': t})\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "3")], check=True, timeout=120)
    first = (tmp_path / "1").read_bytes()
    assert first == (tmp_path / "2").read_bytes() == (tmp_path / "3").read_bytes()


def test_restoring_keeps_identity_and_strides(tmp_path: Path):
    net = convolutional().to(memory_format=torch.channels_last)
    save_weights(tmp_path / "w", net)
    other = convolutional().to(memory_format=torch.channels_last)
    weight, strides = other[0].weight, other[0].weight.stride()
    assert strides != weight.contiguous().stride(), "the case is no case"
    restore(other, tmp_path / "w")
    assert other[0].weight is weight and weight.stride() == strides
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True))


def test_restored_channels_last_net_trains_as_the_original_under_a_fused_optimiser(tmp_path: Path):
    """The fault that plain safetensors has: after three fused steps the weights are other ones."""

    def train(net: nn.Module) -> list[torch.Tensor]:
        optimiser = torch.optim.AdamW(net.parameters(), fused=True)
        x = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
        for _ in range(3):
            optimiser.zero_grad()
            net(x).square().mean().backward()
            optimiser.step()
        return [p.detach().clone() for p in net.parameters()]

    net = convolutional().to(memory_format=torch.channels_last)
    save_weights(tmp_path / "w", net)
    other = convolutional().to(memory_format=torch.channels_last)
    restore(other, tmp_path / "w")
    assert all(torch.equal(a, b) for a, b in zip(train(net), train(other), strict=True))


def test_views_of_one_storage_are_written_separately(tmp_path: Path):
    base = torch.arange(6.0)
    state = {"whole": base, "head": base[:2], "flat": base.view(2, 3), "wide": torch.ones(1, 3).expand(4, 3)}
    save_weights(tmp_path / "w", state)
    back = load_weights(tmp_path / "w")
    assert set(back) == set(state) and all(torch.equal(back[name], state[name]) for name in state)
    assert (tmp_path / "w").stat().st_size < 1000


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.text("abc.", min_size=1, max_size=4),
        st.tuples(
            st.lists(st.integers(0, 4), max_size=3),
            st.sampled_from([torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.uint8]),
        ),
        max_size=5,
    )
)
def test_any_state_comes_back(tmp_path_factory, shapes):
    path = tmp_path_factory.mktemp("w") / "w"
    state = {name: torch.ones(size).to(kind) for name, (size, kind) in shapes.items()}
    save_weights(path, state)
    back = load_weights(path)
    assert set(back) == set(state)
    assert all(torch.equal(back[n], state[n]) and back[n].dtype == state[n].dtype for n in state)


def test_damaged_files_are_named(tmp_path: Path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        load_weights(path)
    save_weights(path, convolutional())
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:20], b"", b"\xff" * 100):
        path.write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"model\.safetensors"):
            load_weights(path)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3)), "which the network lacks"),
        (nn.Sequential(*convolutional(), nn.Linear(2, 2)), "lacks 5.bias"),
        (nn.Sequential(nn.Conv2d(3, 4, 1), *list(convolutional())[1:]), "0.weight is"),
        (convolutional().double(), "float64"),
    ],
)
def test_what_does_not_fit_is_refused_whole(tmp_path: Path, other, words):
    save_weights(tmp_path / "w", convolutional())
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(WeightsError, match=words):
        restore(other, tmp_path / "w")
    assert all(torch.equal(before[name], value) for name, value in other.state_dict().items())
