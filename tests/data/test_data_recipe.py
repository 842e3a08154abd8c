"""The script in docs/persist.md that writes data of the preset `small`, as it stands there, and its reader."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from crucis.data import parquet

ROOT = Path(__file__).parents[2]
SCENES = ["aGrass", "bField", "cIndustry", "dRiverLake", "eForest", "fResident", "gParking"]


def test_the_script_of_the_guide_writes_what_the_preset_reads(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("pyarrow")
    guide = (ROOT / "docs" / "persist.md").read_text(encoding="utf-8")
    (tmp_path / "write.py").write_text(guide.split("```python\n")[1].split("```")[0], encoding="utf-8")
    for label, name in enumerate(SCENES):
        (tmp_path / "scenes" / name).mkdir(parents=True)
        for number in (1, 2):
            image.new("RGB", (70, 66), (30 * label, 0, number)).save(tmp_path / "scenes" / name / f"{number}.jpg")
    (tmp_path / "jpg").mkdir()
    for number in range(17 * 80):
        image.new("RGB", (8, 10), (0, number // 80 * 15, 9)).save(tmp_path / "jpg" / f"image_{number + 1:04d}.jpg")
    words = [sys.executable, "write.py", "scenes", "jpg", "."]
    subprocess.run(words, check=True, cwd=tmp_path, timeout=200)

    protocol = (ROOT / "src" / "crucis" / "protocols" / "persist.yaml").read_text(encoding="utf-8")
    for place, classes, each, channel, level in (("RSSCN7", 7, 2, 0, 30), ("Flowers17", 17, 80, 1, 15)):
        assert f"{{parquet: {{path: {place}/all.parquet, size: 32}}}}" in protocol
        raw = parquet.load(None, path=str(tmp_path / place / "all.parquet"), size=32)
        assert raw.x.shape == (classes * each, 32, 32, 3)
        assert np.array_equal(raw.y, np.repeat(np.arange(classes), each)) and len(raw.class_names) == classes
        seen = raw.x[:, :, :, channel].reshape(len(raw.y), -1).astype(float)
        assert np.abs(seen - level * raw.y[:, None]).max() <= 4  # JPEG rounds a little
        assert raw.class_names[0] == {"RSSCN7": "Grass", "Flowers17": "Daffodil"}[place]
