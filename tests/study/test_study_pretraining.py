"""A study that trains features without labels, fine-tunes them, and draws both: from the text to the page."""

from crucis.cli import main
from crucis.engine.store import Store
from crucis.nets.weights import load_weights

STUDY = """\
study: pretraining
question: Do features without labels help?
let: {net: {vit: {width: 8, depth: 1, heads: 2, patch: 8}}}
stages:
  encoder: {train: mae, net: $net, data: {shapes: {n: 60, size: 16}}, for: 2 steps, batch: 16, evaluate_every: 1 steps,
            decoder_width: 8, decoder_depth: 1, decoder_heads: 2}
  tuned: {train: supervised, of: encoder, for: 1 steps}
seeds: 1
"""


def test_features_without_labels_go_on_into_other_stages(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "pretraining.yaml"
    path.write_text(STUDY, encoding="utf-8")
    assert main(["run", str(path)]) == 0, capsys.readouterr()
    store = Store(tmp_path / ".crucis")
    keys = [file.parent.name for file in (tmp_path / ".crucis" / "steps").glob("*/*/record.json")]
    records = {record.spec["kind"]: record for record in map(store.read, keys)}
    first, second = records["train/mae"], records["train/supervised"]
    assert set(first.body["files"]) == {"model.safetensors", "heads.safetensors", "curve.npz"}
    assert first.body["notes"]["trained"]["objective"]["name"] == "mae"
    assert "accuracy" in second.values and "knn_accuracy" in first.values
    assert (
        load_weights(first.folder / "model.safetensors").keys()
        == load_weights(second.folder / "model.safetensors").keys()
    )
    page = (tmp_path / "report" / "pretraining" / "index.html").read_text(encoding="utf-8")
    assert "Accuracy of frozen features" in page
