"""Which protocol a recipe is for; and from facts of self-supervised recipes to the parameters of their protocols:
views, losses, teachers, masks, heads."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .augmenting import ADAPTED, augmentation
from .facts import Recipe

if TYPE_CHECKING:
    from .translate import Translation

#: Recipe -> the protocol that trains as it says.
PROTOCOLS = {"simclr-r50": "simclr", "mocov3-vit": "moco_v3", "dino-vits16": "dino", "mae-vitb16": "mae",
             "ijepa-vith14": "i_jepa", "ewc-atari": "q_learning"}  # fmt: skip
#: Recipes of other tasks whose networks a known protocol trains, task by task.
FIRST_TASKS = {"ewc-permuted-mnist": "supervised"}
_STRENGTHS = ("brightness", "contrast", "saturation", "hue")


def protocol(recipe: Recipe) -> str | None:
    """The training protocol that a recipe is for, or None if none here trains so."""
    if recipe.task.startswith("supervised"):
        return "supervised"
    return PROTOCOLS.get(recipe.id) or FIRST_TASKS.get(recipe.id)


def why_none(recipe: Recipe) -> str:
    """Why no protocol trains a recipe's task."""
    return f"the task '{recipe.task}' needs a protocol that is not here"


def objective(out: Translation) -> None:
    """Put the parameters of the recipe's protocol into a translation."""
    _PARTS[out.protocol](out)


def _simclr(out: Translation) -> None:
    out.put("temperature", float(out.value("loss.temperature")), "loss.temperature")
    out.put("layers", out.value("head.layers"), "head.layers")
    out.put("out", out.value("head.out_dim"), "head.out_dim")
    strength = float(out.value("aug.color_jitter_strength", 1.0))
    factors = [0.8 * strength] * 3 + [0.2 * strength]
    steps: list[Any] = ["resized_crop", {"flip": {"probability": 0.5}}, _jitter(out, factors), _grey(out)]
    if out.value("aug.blur"):
        steps.append({"blur": {"probability": 0.5}})
        out.assumed["augment.blur"] = "no fact says how strong; half of the images, up to 2 pixels, chosen here"
    out.assumed["augment.resized_crop"] = "no fact says how much of the image; 8 % and more chosen here"
    how = f"0.8, 0.8, 0.8 and 0.2 times strength {strength:g}; {ADAPTED}"
    out.put("augment", steps, "aug.crop", "aug.color_jitter_strength", "aug.color_p", "aug.grayscale_p", "aug.blur",
            how=how)  # fmt: skip
    for fact in out.recipe.of("bn.global"):
        out.fact("bn.global")
        out.outside.append((fact, "batch norm sees the whole batch, which one process holds"))


def _moco(out: Translation) -> None:
    _teacher(out)
    out.put("temperature", float(out.value("loss.temperature")), "loss.temperature")
    if out.value("loss.scale") != "2*T":
        out.lack("loss.scale", "the protocol's loss is 2T times the cross-entropy")
    for fact in out.recipe.of("loss.scale"):
        out.outside.append((fact, "the loss of the protocol has it"))
    out.put("freeze_patches", bool(out.value("model.stop_grad_patch_embed", False)), "model.stop_grad_patch_embed")
    out.put("out", out.value("head.dim"), "head.dim")
    out.put("hidden", out.value("head.hidden"), "head.hidden")
    low, high = map(float, out.value("aug.crop_scale"))
    crop = {"resized_crop": {"smallest": low, "largest": high}}
    for place, name in enumerate(("augment", "second")):
        steps = [crop, _jitter(out), _grey(out), *_late(out, place), {"flip": {"probability": 0.5}}]
        out.put(name, steps, "aug.crop_scale", "aug.color_jitter", "aug.color_p", "aug.grayscale_p", "aug.blur_p",
                "aug.solarize_p", how=ADAPTED)  # fmt: skip
    out.assumed["augment.flip"] = "no fact reports it; half of the images chosen here"


def _dino(out: Translation) -> None:
    _teacher(out)
    out.put("student_temperature", float(out.value("student.temperature")), "student.temperature")
    start, end = out.value("teacher.temperature")
    out.put("teacher_temperature_start", float(start), "teacher.temperature")
    out.put("teacher_temperature", float(end), "teacher.temperature")
    out.put("temperature_warmup", f"{out.value('teacher.temperature_warmup')} epochs", "teacher.temperature_warmup")
    out.put("centre_momentum", float(out.value("teacher.center_momentum")), "teacher.center_momentum")
    out.put("prototypes", out.value("head.out_dim"), "head.out_dim")
    out.put("freeze_last_layer", f"{out.value('head.freeze_last_layer')} epochs", "head.freeze_last_layer")
    out.put("clip_each", float(out.value("optimizer.grad_clip_norm")), "optimizer.grad_clip_norm",
            how="each parameter by its own norm")  # fmt: skip
    for name in ("params", "facts", "origin", "how"):
        getattr(out, name).pop("clip", None)
    for fact in out.recipe.of("teacher.temperature_default"):
        out.fact("teacher.temperature_default")
        out.outside.append((fact, "of one variant of the training"))
    out.assume("hidden", 2048, "no fact gives the width of the head")
    out.assume("bottleneck", 256, "no fact gives the width before the prototypes")
    large, small = (_crops(out, f"aug.{size}_crops") for size in ("global", "local"))
    out.put("small_views", small[0], "aug.local_crops")
    out.put("small_size", small[1] / large[1], "aug.local_crops", how=f"{small[1]} / {large[1]} of the image's side")
    for place, (name, crop) in enumerate((("augment", large), ("second", large), ("small", small))):
        window = {"smallest": crop[2], "largest": crop[3], "interpolation": "bicubic"}
        steps = [{"resized_crop": window}, {"flip": {"probability": 0.5}}, _jitter(out), _grey(out), *_late(out, place)]
        key = "aug.local_crops" if name == "small" else "aug.global_crops"
        out.put(name, steps, key, "aug.color_jitter", "aug.blur_p", "aug.solarize_p", how=ADAPTED)
    out.assumed["augment.flip"] = "no fact reports it; half of the images chosen here"


def _mae(out: Translation) -> None:
    out.put("ratio", float(out.value("mask.ratio")), "mask.ratio")
    out.put("norm_pix", bool(out.value("loss.norm_pix")), "loss.norm_pix")
    for word, name in (("dim", "decoder_width"), ("depth", "decoder_depth"), ("heads", "decoder_heads")):
        found = re.search(rf"{word} (\d+)", str(out.value("model.decoder")))
        if found:
            out.put(name, int(found[1]), "model.decoder")
    augmentation(out)


def _i_jepa(out: Translation) -> None:
    _teacher(out)
    said = str(out.value("loss"))
    out.put("loss", "smooth_l1" if said.startswith("smooth") else "l2", "loss")
    out.put("targets", out.value("mask.targets"), "mask.targets")
    for key in ("target_scale", "target_aspect", "context_scale"):
        out.put(key, list(map(float, out.value(f"mask.{key}"))), f"mask.{key}")
    out.put("min_keep", out.value("mask.min_keep"), "mask.min_keep")
    if out.value("mask.allow_overlap"):
        out.lack("mask.allow_overlap", "the protocol's context holds no target")
    out.assume("context_tokens", 0.25, "the published code keeps what the smallest context of a batch has, which "
               "depends on the batch; a fixed share chosen here")  # fmt: skip
    out.put("predictor_width", out.value("model.predictor_dim"), "model.predictor_dim")
    out.put("predictor_depth", out.value("model.predictor_depth"), "model.predictor_depth")
    out.assume("predictor_heads", 12, "no fact gives the predictor's heads; 32 channels each chosen here")
    low, high = map(float, out.value("aug.crop_scale"))
    out.put("augment", [{"resized_crop": {"smallest": low, "largest": high}}], "aug.crop_scale", how=ADAPTED)
    if str(out.value("precision")).startswith("bf"):
        out.put("precision", "bf16", "precision")


def _teacher(out: Translation) -> None:
    """Momentum and its course; the protocol of DINO has only one course."""
    out.put("momentum", float(out.value("teacher.momentum")), "teacher.momentum")
    course = out.value("teacher.momentum_schedule")
    if course is not None:
        out.put("momentum_schedule", str(course).partition(" ")[0], "teacher.momentum_schedule")


def _jitter(out: Translation, given: list[float] | None = None) -> dict[str, Any]:
    strengths = given or list(map(float, out.value("aug.color_jitter")))
    if out.fact("aug.color_p") is None:
        out.assumed["augment.color_jitter.probability"] = "no fact reports it; 0.8 chosen here"
    probability = float(out.value("aug.color_p", 0.8))
    return {"color_jitter": {**dict(zip(_STRENGTHS, strengths, strict=True)), "probability": probability}}


def _grey(out: Translation) -> dict[str, Any]:
    if out.fact("aug.grayscale_p") is None:
        out.assumed["augment.grayscale.probability"] = "no fact reports it; 0.2 chosen here"
    return {"grayscale": {"probability": float(out.value("aug.grayscale_p", 0.2))}}


def _late(out: Translation, place: int) -> list[dict[str, Any]]:
    """Blur and solarisation of the view at a place; a step that no image gets is left out."""
    pairs = [("blur", out.value("aug.blur_p")[place]), ("solarize", out.value("aug.solarize_p")[place])]
    return [{name: {"probability": float(share)}} for name, share in pairs if share]


def _crops(out: Translation, key: str) -> tuple[int, int, float, float]:
    """Number, side in pixels, and smallest and largest area of `2 x 224, scale [0.4, 1]`."""
    found = re.fullmatch(r"(\d+) x (\d+), scale \[([\d.]+), ([\d.]+)\]", str(out.value(key)))
    if found is None:
        raise ValueError(f"{out.recipe.id}: {key} is not of the form '2 x 224, scale [0.4, 1]'")
    return int(found[1]), int(found[2]), float(found[3]), float(found[4])


_PARTS: Mapping[str, Callable[[Translation], None]] = {
    "simclr": _simclr, "moco_v3": _moco, "dino": _dino, "mae": _mae, "i_jepa": _i_jepa,
}  # fmt: skip
