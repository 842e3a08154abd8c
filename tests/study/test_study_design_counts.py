"""The counts that the grammar's worked studies promise, from their factors, filters and stages alone."""

from __future__ import annotations

from collections import Counter

from test_study_design import factor, stage, study

from crucis.study.design import cells, instances
from crucis.study.spec import Dollar

NET, DATA = Dollar("arch", "net"), Dollar("data")


def counts(made):
    found, _ = instances(made)
    return Counter(one.stage for one in found)


def test_persist_has_171_networks_513_second_tasks_1767_steps():
    arch = factor("arch", *((f"n{i}", {"net": "mlp"}) for i in range(19)))
    made = study(
        [arch, factor("data", "cifar100", "cub200", "resisc45"), factor("strategy", "naive", "ewc", "cosine")],
        [
            stage("task_a", "train", params={"net": NET, "data": DATA}),
            stage("landscape", of="task_a@at=best"),
            stage("ripser", of="landscape"),
            stage("cubical", of="landscape"),
            stage("hessian", of="task_a@at=best"),
            stage("fisher", of="task_a@at=best"),
            stage("task_b", "perturb", of="task_a@at=best", params={"data": DATA, "strategy": Dollar("strategy")}),
            stage("barrier", of={"start": "task_a@at=best", "end": "task_b@strategy=naive"}),
            stage("seeds_apart", of="task_a@at=best", pool=("seed",)),
        ],
        seeds=(42, 123, 456),
    )
    found = counts(made)
    assert len(cells(made)) == 171
    assert (found["task_a"], found["task_b"], found["seeds_apart"], found.total()) == (171, 513, 57, 1767)


def test_phi_reads_145_cells_of_300_in_1269_steps():
    kinds = {
        "image": ["mlp-2", "mlp-4", "mlp-8", "resnet-18", "resnet-50", "vit-small"],
        "text": ["lstm-2", "lstm-4", "gru-2", "gru-4", "gpt2"],
        "graph": ["gcn-cora", "gat-cora", "gcn-cite", "gat-cite"],
    }
    arch = factor("arch", *((name, {"net": "mlp", "kind": kind}) for kind, names in kinds.items() for name in names))
    no_heads = ("mlp-2", "mlp-4", "mlp-8", "resnet-18", "resnet-50", "lstm-2", "lstm-4", "gru-2", "gru-4", "gcn-cora")
    scheme = ("scheme", None)
    trained = ({("arch", "kind"): ("image", "text")},)
    made = study(
        [
            arch,
            factor("moment", "0%", "25%", "50%", "75%", "100%"),
            factor("scheme", "layers", "heads", "feature_groups", "time_steps"),
        ],
        [
            stage("model", "train", params={"net": NET}),
            stage("phi", of="model@at=$moment", params={"scheme": Dollar("scheme")}),
            stage("ksg", of="model@at=$moment", params={"scheme": Dollar("scheme")}),
            stage("pci", of="model@at=$moment"),
            stage("transfer", "train", of="model", only=trained),
            stage("scratch", "train", params={"net": NET}, only=trained),
            stage("attack", "perturb", of="model", only=({("arch", "kind"): ("image",)},)),
            stage("test", of="model"),
        ],
        exclude=(
            {scheme: ("heads",), ("arch", None): (*no_heads, "gcn-cite")},
            {scheme: ("feature_groups",), ("arch", "kind"): ("text", "graph")},
            {scheme: ("time_steps",), ("arch", "kind"): ("image", "graph")},
            {scheme: ("time_steps",), ("arch", None): ("gpt2",)},
        ),
        seeds=(42, 123, 456),
    )
    found = counts(made)
    assert len(cells(made)) == 145 and instances(made)[1]["except"] == 155
    assert (found["model"], found["phi"], found.total()) == (45, 435, 1269)


def test_a_method_with_32_arms_trains_480_networks():
    arm = factor("arm", *((f"a{i}", {"net": "./m.py", "group": "method" if i else "baseline"}) for i in range(32)))
    made = study(
        [factor("group", "baseline", "method"), arm, factor("data", "cifar10", "cifar100", "flowers17")],
        [
            stage("tuned", "train", params={"net": Dollar("group"), "data": DATA}, pool=("seed",)),
            stage("model", "train", of="tuned@group=$arm.group", params={"net": Dollar("arm", "net")}),
        ],
        seeds=(1, 2, 3, 4, 5),
    )
    assert counts(made) == {"tuned": 6, "model": 480}
