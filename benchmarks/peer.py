"""A whole supervised training against the script that a user would write with other libraries, in one thread.

Theirs: ``segmentation_models_pytorch`` (FPN), Lightning and torchvision; ours: ``semiverse.train``. Both read the same
photographs and masks of 360 x 480 pixels from files, with EfficientNet-Lite0 from random weights, 8 images a step of
crops of 192 x 256 at scales 0.6 to 1.5, flipped and recoloured, AdamW, bfloat16 where the processor has it, cross
entropy over all pixels of the crop, loading in one process beside. The goal is twice their images a second.
Needs ``pip install "semiverse[peer]"``.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from benchmarks.measure import Goal, compare
from semiverse import Domain, DomainMixture, ModelConfig, train
from semiverse.data import Augmentation
from semiverse.datasets import Folder
from semiverse.methods import Optimizer
from semiverse.models import computes_in

IMAGES, CLASSES, STEPS, BATCH, CROP, RATE = 64, 11, 20, 8, (192, 256), 5e-4


class Files(Dataset):  # type: ignore[type-arg]
    """What a user's own dataset looks like."""

    def __init__(self, root: Path) -> None:
        self.photographs = sorted((root / "images").iterdir())
        self.masks = sorted((root / "masks").iterdir())
        self.transform = v2.Compose(
            [
                v2.ScaleJitter((360, 480), (0.6, 1.5)),
                v2.RandomCrop(CROP, pad_if_needed=True, fill={tv_tensors.Image: 0, tv_tensors.Mask: 255}),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(0.3, 0.3, 0.3),
                v2.ToDtype({tv_tensors.Image: torch.float32, tv_tensors.Mask: torch.int64, "others": None}, scale=True),
                v2.Normalize((0.5,) * 3, (0.5,) * 3),
            ]
        )

    def __len__(self) -> int:
        return len(self.photographs)

    def __getitem__(self, index: int) -> Any:
        image = tv_tensors.Image(Image.open(self.photographs[index]).convert("RGB"))
        mask = tv_tensors.Mask(torch.from_numpy(numpy.asarray(Image.open(self.masks[index])).copy()))
        return self.transform(image, mask)


def write(root: Path) -> None:
    """Noise over blocks, which no codec makes small, and their classes."""
    draw = numpy.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    for index in range(IMAGES):
        mask = draw.integers(0, CLASSES, (12, 16), numpy.uint8).repeat(30, 0).repeat(30, 1)
        image = (mask[..., None] * (9, 17, 23) + draw.integers(0, 40, (360, 480, 3))).astype(numpy.uint8)
        Image.fromarray(image).save(root / "images" / f"{index:03}.jpg", quality=92)
        Image.fromarray(mask).save(root / "masks" / f"{index:03}.png")
    (root / "one.txt").write_text("000\n")  # ours validates once at the end, theirs not


def run() -> dict[str, Any]:
    import pytorch_lightning as lightning
    import segmentation_models_pytorch as models

    class Script(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = models.FPN("tu-tf_efficientnet_lite0", encoder_weights=None, classes=CLASSES)
            self.loss = torch.nn.CrossEntropyLoss(ignore_index=255)

        def training_step(self, batch: Any, _: int) -> Any:
            images, masks = batch
            return self.loss(self.network(images), masks)

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), RATE, weight_decay=0.01)

    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    precision = "bf16-mixed" if computes_in(torch.bfloat16, torch.device("cpu")) else "32-true"
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write(root)

        def theirs() -> None:
            loader = DataLoader(
                Files(root), BATCH, shuffle=True, num_workers=1, drop_last=True, persistent_workers=True
            )
            trainer = lightning.Trainer(
                max_steps=STEPS, accelerator="cpu", precision=precision, logger=False, enable_checkpointing=False,
                enable_progress_bar=False, enable_model_summary=False,
            )  # fmt: skip
            trainer.fit(Script(), loader)

        def ours() -> None:
            dataset = Folder(
                root, [f"class {index}" for index in range(CLASSES)], splits={"one": Path("one.txt")}, name="eleven"
            )
            augmentation = Augmentation(scale=(0.6, 1.5), flip=0.5, color=0.3)
            domain = Domain(dataset, train="all", val="one")
            with tempfile.TemporaryDirectory() as out:
                train(
                    DomainMixture({"city": domain}, BATCH, crop=CROP, augmentation=augmentation, workers=1),
                    model=ModelConfig("tf_efficientnet_lite0", decoder="mlp", output_stride=32, pretrained=False),
                    optimizer=Optimizer("adamw", RATE, 1.0, 1.0, 0.9, 0.01),
                    trainer={"max_steps": STEPS, "accelerator": "cpu", "precision": precision},
                    keep="last",
                    validate_every=STEPS,
                    check=False,
                    out=Path(out) / "run",
                )

        result = compare(theirs, ours, rounds=3, goal=Goal(time=2.0))
        seen = 1e3 * STEPS * BATCH
        return result | {
            "reference_images_a_second": seen / result["reference_ms"],
            "our_images_a_second": seen / result["ours_ms"],
        }
