"""Every configuration in configs/ parses, and trains two steps on data that the tests write."""

from pathlib import Path

import pytest

from semiverse.cli import main

CONFIGS = Path(__file__).parent.parent / "configs"
EXPERIMENTS = sorted(CONFIGS.glob("*.yaml"))
PRESETS = sorted((CONFIGS / "presets").rglob("*.yaml"))

SMALL = """
data:
  domains:
    camvid:
      dataset: {class_path: SyntheticStreets, init_args: {images: 6, val_images: 2, size: [32, 48]}}
      train: train
      val: val
      labeled: 3
    facade:
      dataset: {class_path: SyntheticRooms, init_args: {images: 6, val_images: 2, size: [32, 48]}}
      train: train
      val: val
      labeled: 3
  batch_size: 2
  crop: [32, 48]
  workers: 0
model: {width: 0.0625}
trainer: {max_steps: 2, accelerator: cpu}
networks_trainer: {max_steps: 1, accelerator: cpu}
"""


def trained(tmp_path, *configs: Path) -> Path:
    """Train on the small worlds; label embeddings have to fit 32 feature channels."""
    small = tmp_path / "small.yaml"
    universal = any("class_path: Universal" in config.read_text() for config in configs[-1:])
    small.write_text(SMALL + ("method: {init_args: {embed_dim: 8}}" if universal else ""))
    files = [word for config in (*configs, small) for word in ("--config", str(config))]
    out = tmp_path / "run"
    assert main(["train", *files, "--out", str(out)]) == 0
    return out


@pytest.mark.parametrize("config", EXPERIMENTS, ids=lambda path: path.stem)
def test_experiment_trains_two_steps(config, tmp_path):
    out = trained(tmp_path, config)
    assert (out / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_preset_changes_an_experiment(preset, tmp_path):
    out = trained(tmp_path, CONFIGS / "camvid_labelmefacade_cpu.yaml", preset)
    assert (out / "model" / "model.safetensors").is_file()
