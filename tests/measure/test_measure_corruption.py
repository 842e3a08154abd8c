"""Corruptions against their definitions, and the instrument on networks that react in a known way."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from crucis import shelf, streams
from crucis.errors import CrucisError
from crucis.measure.corruptions import CORRUPTIONS, corrupted
from crucis.measure.instruments import corruption
from crucis.testing import perturbations, subjects

SHAPES = [(3, 1, 8, 8), (2, 3, 32, 32), (2, 3, 17, 40), (1, 1, 1, 1)]


def stream(k: int = 0) -> torch.Generator:
    return streams.generator(k, "test")


def images(shape: tuple[int, ...] = (40, 3, 32, 32)) -> torch.Tensor:
    return (torch.rand(shape, generator=stream(9)) * 255).round() / 255


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_any_size_any_severity(name: str, shape: tuple[int, ...]) -> None:
    x = images(shape)
    for severity in range(6):
        out = corrupted(name, x, severity, stream())
        assert out.shape == x.shape
        assert float(out.min()) >= 0
        assert float(out.max()) <= 1
        assert torch.allclose(out * 255, (out * 255).round(), atol=1e-4)
        assert torch.equal(out, corrupted(name, x, severity, stream()))
    assert torch.equal(corrupted(name, x, 0, stream()), x)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_stronger_is_further_away(name: str) -> None:
    x = images()
    if name == "pixelate":  # white noise has no scale; a smooth picture has
        x = torch.linspace(0, 1, 32).view(1, 1, 1, 32).expand(2, 3, 32, 32)
    away = [float((corrupted(name, x, s, stream()) - x).pow(2).mean()) for s in range(6)]
    if name == "pixelate":
        assert away[5] > away[0]
    else:
        assert all(a < b for a, b in itertools.pairwise(away))


def test_noise_has_the_published_size() -> None:
    grey = torch.full((60, 1, 32, 32), 0.5)
    for severity, sigma in enumerate((0.04, 0.06, 0.08, 0.09, 0.10), 1):
        assert float(corrupted("gaussian_noise", grey, severity, stream()).std()) == pytest.approx(sigma, rel=0.02)
    for severity, photons in enumerate((500, 250, 100, 75, 50), 1):
        wanted = (0.5 / photons) ** 0.5
        assert float(corrupted("shot_noise", grey, severity, stream()).std()) == pytest.approx(wanted, rel=0.02)
    for severity, share in enumerate((0.01, 0.02, 0.03, 0.05, 0.07), 1):
        out = corrupted("impulse_noise", grey, severity, stream())
        assert float((out == 0).float().mean()) == pytest.approx(share / 2, rel=0.1)
        assert float((out == 1).float().mean()) == pytest.approx(share / 2, rel=0.1)


def test_blur_is_a_gaussian() -> None:
    x = images((1, 1, 32, 32))
    out = corrupted("gaussian_blur", x, 5, stream())[0, 0].double().numpy()
    wanted = ndimage.gaussian_filter(x[0, 0].double().numpy(), np.hypot(1.0, 12**-0.5), mode="nearest")
    assert out == pytest.approx(wanted, abs=0.01)  # integrating over a pixel widens the variance by 1/12
    flat = torch.full((1, 1, 8, 8), 0.4)
    assert torch.allclose(corrupted("gaussian_blur", flat, 5, stream()), flat, atol=1e-6)


def test_contrast_and_brightness_in_closed_form() -> None:
    x = images((3, 3, 9, 9))
    mean = x.mean((2, 3), keepdim=True)
    assert torch.allclose(corrupted("contrast", x, 4, stream()), (x - mean) * 0.3 + mean, atol=0.5 / 255 + 1e-6)
    grey = images((3, 1, 9, 9))
    assert torch.allclose(corrupted("brightness", grey, 2, stream()), (grey + 0.1).clamp(max=1), atol=0.5 / 255 + 1e-6)
    red = torch.tensor([0.5, 0.25, 0.0]).view(1, 3, 1, 1)
    assert corrupted("brightness", red, 5, stream()).flatten().tolist() == pytest.approx([0.8, 0.4, 0.0], abs=0.002)


def test_pixelation_keeps_the_mean_of_blocks() -> None:
    x = images((1, 1, 20, 20))
    out = corrupted("pixelate", x, 4, stream())
    assert len(out.unique()) <= 15 * 15
    assert float(out.mean()) == pytest.approx(float(x.mean()), abs=0.02)


def test_the_choices_are_the_corruptions() -> None:
    param = shelf.leaf("measure", "corruption").params["corruptions"]
    assert list(param.choices) == list(param.default) == list(CORRUPTIONS)


def test_columns_fit_together(tmp_path: Path) -> None:
    subject = perturbations.specimen(tmp_path)
    clean = corruption.measure(subject, severities=[0]).values
    assert clean["accuracy"] == clean["clean_accuracy"] == clean["worst"]
    assert clean["relative_drop"] == 0
    values = corruption.measure(subject, severities=[1, 5]).values
    each = np.array([list(row.values()) for row in values["each"].values()])
    assert values["accuracy"] == pytest.approx(each.mean())
    assert list(values["accuracy@corruption"].values()) == pytest.approx(each.mean(1))
    assert list(values["by_severity"].values()) == pytest.approx(each.mean(0))
    assert values["worst"] == pytest.approx(each.mean(1).min())
    assert values["relative_drop"] == pytest.approx(1 - each.mean() / values["clean_accuracy"])
    one = corruption.measure(subject, corruptions=["contrast"], severities=[5]).values
    assert one["accuracy"] == values["each"]["contrast"]["5"]
    with pytest.raises(CrucisError, match="different entries"):
        corruption.measure(subject, severities=[1, 1])


def test_noise_differs_between_seeds_and_not_between_networks(tmp_path: Path) -> None:
    from crucis.measure.weathering import weathered

    net = subjects.network()
    found = [
        weathered(subjects.model_specimen(tmp_path / str(k), model=net, seed=seed), ["gaussian_noise"], [5], 48)[1]
        for k, seed in enumerate((1, 1, 2))
    ]
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
