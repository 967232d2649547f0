"""Pseudo-labels of a domain: read as they were written, drawn by seed and step, beside all other draws."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from semiverse.data import Augmentation, Resolution
from semiverse.data.images import read_image
from semiverse.labels import IGNORE
from semiverse.mixture import Domain, DomainMixture, Draws
from tests.fakes import Numbered
from tests.fakes.basic import THREE, draw, write_mask, write_photo
from tests.mixture.test_batches import epochs

DRAWS = Draws(unlabeled_from=0, pseudolabeled=True)


def write_folder(root, count=5, size=(12, 16), classes=THREE):
    """What ``semiverse pseudolabel`` writes: photographs, palette masks with unlabelled pixels, and facts."""
    for i in range(count):
        write_photo(root / "images" / f"{i}.png", seed=i, size=size)
        write_mask(root / "masks" / f"{i}.png", draw(i, (*range(len(classes)), IGNORE), size), mode="P")
    (root / "pseudolabels.json").write_text(json.dumps({"classes": {title: {} for title in classes}}))
    return root


def mixture(folder, workers=0, crop=(8, 8), scale=(0.5, 1.5), flip=0.5, **options):
    taught = Domain(Numbered(6, size=(12, 16)), labeled=4, **{"pseudolabels": folder} | options)
    domains = {"taught": taught, "other": Domain(Numbered(4, size=(12, 16)))}
    augmentation = Augmentation(scale=scale, flip=flip)
    return DomainMixture(domains, batch_size=4, crop=crop, augmentation=augmentation, workers=workers)


def equal(one, two):
    return one.id == two.id and torch.equal(one.image, two.image) and torch.equal(one.mask, two.mask)


def test_images_and_masks_are_those_of_the_folder(tmp_path):
    folder = write_folder(tmp_path / "pseudo", count=4)
    batch = epochs(mixture(folder, crop=None, scale=(1.0, 1.0), flip=0.0), count=1, draws=DRAWS)[0]
    assert list(batch.pseudolabeled) == ["taught"]
    sample = batch.pseudolabeled["taught"]
    assert sorted(sample.id) == ["0", "1", "2", "3"]
    for image, mask, name in zip(sample.image, sample.mask, sample.id, strict=True):
        assert torch.equal(image, read_image(folder / "images" / f"{name}.png"))
        assert np.array_equal(mask, draw(int(name), (0, 1, 2, IGNORE), (12, 16)))


def test_where_masks_were_drawn_images_are_seen_with_each_of_them(tmp_path):
    folder = write_folder(tmp_path / "pseudo", count=4)
    for number in range(3):
        for i in range(4):
            write_mask(folder / "drawn" / str(number) / f"{i}.png", np.full((12, 16), number), mode="P")
    batches = epochs(mixture(folder, crop=None, scale=(1.0, 1.0), flip=0.0), count=3, draws=DRAWS)
    samples = [batches[step].pseudolabeled["taught"] for step in range(3)]  # 3 of 4: each pair once
    seen = [(name, mask.unique().tolist()) for one in samples for name, mask in zip(one.id, one.mask, strict=True)]
    assert sorted(seen) == [(str(i), [number]) for i in range(4) for number in range(3)]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_is_a_function_of_seed_and_step(workers, tmp_path):
    folder = write_folder(tmp_path / "pseudo")
    whole = epochs(mixture(folder), count=6, draws=DRAWS)
    later = epochs(mixture(folder, workers), start=3, count=3, draws=DRAWS)
    assert set(later) == {3, 4, 5}
    for step, batch in later.items():
        assert equal(batch.pseudolabeled["taught"], whole[step].pseudolabeled["taught"])
    names = [name for step in range(5) for name in whole[step].pseudolabeled["taught"].id]
    assert all(sorted(names[i : i + 5]) == list("01234") for i in range(0, 20, 5))  # each once in a pass


def test_processes_share_a_batch(tmp_path):
    folder = write_folder(tmp_path / "pseudo")
    (whole,) = epochs(mixture(folder), count=1, draws=DRAWS).values()
    for rank in (0, 1):
        (part,) = epochs(mixture(folder), count=1, draws=DRAWS, rank=rank, processes=2).values()
        assert part.pseudolabeled["taught"].id == whole.pseudolabeled["taught"].id[rank::2]
        assert torch.equal(part.pseudolabeled["taught"].mask, whole.pseudolabeled["taught"].mask[rank::2])


def test_all_other_draws_are_as_without_them(tmp_path):
    folder = write_folder(tmp_path / "pseudo")
    ours, plain = epochs(mixture(folder), draws=DRAWS), epochs(mixture(None), draws=DRAWS)
    assert ours.keys() == plain.keys()
    for step, batch in plain.items():
        assert not batch.pseudolabeled
        for kind in ("labeled", "unlabeled"):
            assert all(equal(sample, getattr(ours[step], kind)[name]) for name, sample in getattr(batch, kind).items())


def test_cache_keeps_them_at_the_working_size(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMIVERSE_CACHE", str(tmp_path / "cache"))
    folder, same = write_folder(tmp_path / "pseudo"), {"crop": None, "scale": (1.0, 1.0), "flip": 0.0}
    half = {"resolution": Resolution(0.5)}
    cached = mixture(folder, cache=True, **same, **half)
    (batch,) = epochs(cached, count=1, draws=DRAWS).values()
    (expected,) = epochs(mixture(folder, **same, **half), count=1, draws=DRAWS).values()
    assert batch.pseudolabeled["taught"].mask.shape == (4, 6, 8)
    assert equal(batch.pseudolabeled["taught"], expected.pseudolabeled["taught"])


def test_a_method_that_does_not_draw_them_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"taught has pseudolabels.*does not learn from any.*leave pseudolabels out"):
        mixture(write_folder(tmp_path / "pseudo")).training(lambda: 0, Draws())


def test_labels_of_other_classes_are_refused(tmp_path):
    folder = write_folder(tmp_path / "pseudo", classes=("sea", "sand"))
    with pytest.raises(ValueError, match=r"classes sea, sand; expected .*as in the domain"):
        mixture(folder).training(lambda: 0, DRAWS)


def test_what_is_missing_is_named(tmp_path):
    data = mixture(folder := write_folder(tmp_path / "pseudo"))
    (folder / "masks" / "3.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"no mask for 1 of 5 images.*3\.png"):
        data.training(lambda: 0, DRAWS)
    data.domains["taught"] = replace(data.domains["taught"], pseudolabels=tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        data.training(lambda: 0, DRAWS)
