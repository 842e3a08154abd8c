"""Drawings of networks: well-formed, true to the network, and what differs in the right colour."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

from crucis import shelf
from crucis.cli import main
from crucis.measure.anatomy import anatomy
from crucis.report.diagram import Network, draw

SVG = "{http://www.w3.org/2000/svg}"
CHANGED, REMOVED, ADDED = "#d99a00", "#c8453b", "#2e9150"


def network(name: str, **params: object) -> Network:
    net = shelf.load(shelf.leaf("nets", name))((3, 32, 32), 10, **params).eval()
    return Network(name, (3, 32, 32), anatomy(net, torch.zeros(1, 3, 32, 32)))


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()).strip() for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def edges(svg: str, colour: str) -> int:
    """How many boxes of that edge, without the one of the legend."""
    return sum(node.get("stroke") == colour and node.get("rx") == "6" for node in ElementTree.fromstring(svg).iter())


@pytest.mark.parametrize(
    ("name", "params"),
    [("convnet", {}), ("resnet_cifar", {"depth": 50}), ("vit", {}), ("wrn", {"depth": 10, "widen": 1})],
)
def test_every_number_is_that_of_the_network(name: str, params: dict[str, object]) -> None:
    net = shelf.load(shelf.leaf("nets", name))((3, 32, 32), 10, **params)
    shown = network(name, **params)
    assert shown.whole.parameters == sum(p.numel() for p in net.parameters())
    said = texts(draw(shown))
    assert f"{shown.whole.parameters:,} parameters" in said[1]
    assert draw(shown) == draw(network(name, **params))


def test_fifty_layers_fit_because_equal_blocks_are_one() -> None:
    shown = network("resnet_cifar", depth=50)
    assert [part.times for part in shown.whole.parts if part.kind == "Residual"] == [8, 1, 7, 1, 7]
    assert sum("Conv2d" in text for text in texts(draw(shown))) == 11
    one, many = network("resnet_cifar", depth=8).whole, shown.whole
    assert one.parts[3].parameters * 8 == many.parts[3].parameters


def test_a_network_against_itself_has_no_difference() -> None:
    svg = draw(network("convnet"), network("convnet"))
    assert [edges(svg, colour) for colour in (CHANGED, REMOVED, ADDED)] == [0, 0, 0]
    assert "changed" not in texts(svg)


def test_differences_in_colour() -> None:
    # One stage less (convolution, norm, activation and its pooling), a dropout more, and a head of another width.
    svg = draw(network("convnet", widths=[16, 32], dropout=0.5), network("convnet"))
    assert edges(svg, REMOVED) == 4
    assert edges(svg, ADDED) == 1
    assert edges(svg, CHANGED) == 2  # the head, on both sides
    assert {"changed", "only in the first", "only in the second"} <= set(texts(svg))


class Odd(nn.Module):
    """Uses its layers in the other order, and one not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.first, self.spare = nn.Linear(4, 2), nn.Linear(3, 4), nn.Linear(5, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(x))


def test_order_is_that_of_work_and_what_rests_is_marked() -> None:
    whole = anatomy(Odd(), torch.zeros(1, 3))
    assert [(part.detail, part.used) for part in whole.parts] == [("3 to 4", True), ("4 to 2", True), ("5 to 5", False)]
    svg = draw(Network("<odd>", (3,), whole))
    assert "not used" in " ".join(texts(svg))
    assert "&lt;odd&gt;" in svg
    assert whole.flops == 2 * (12 + 8)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n\ndef build(input, classes, *, wide: int = 3):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, wide), nn.Linear(wide, classes))\n"
    )
    assert main(["diagram", "{./mine.py: {wide: 7}}", "--against", "mlp", "-o", "out.svg"]) == 0
    assert "Linear 64 → 7" in texts((tmp_path / "out.svg").read_text())
    for words, says in (
        (["diagram", "convnt"], "Did you mean 'convnet'"),
        (["diagram", "{convnet: {width: 3}}"], "width"),
        (["diagram", "convnet", "--for", "digit"], "Did you mean 'digits'"),
        (["diagram", "convnet", "-o", "out.png"], "out.svg"),
        (["diagram", "resnet_cifar", "--against", "{resnet_cifar: {depth: 9}}"], "6n + 2"),
        (["diagram", "{"], "write name"),
    ):
        assert main(words) == 2, words
        error = capsys.readouterr().err
        assert says in error
        assert "Traceback" not in error
