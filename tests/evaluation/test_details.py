"""What ``evaluate --details true`` writes, against the predictions themselves."""

import json
import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from semiverse.cli.call import parse
from semiverse.cli.main import main
from semiverse.commands.evaluate import evaluate
from semiverse.evaluation.boundary import boundary_counts, boundary_width
from semiverse.inference.predictor import Predictor
from semiverse.labels import IGNORE
from semiverse.models import SegmentationModel

NEW = {"image_miou", "image_mious", "boundary_iou", "boundary_miou", "boundary_width", "calibration", "seen_as"}


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the trained run, to write into."""
    return shutil.copytree(trained, tmp_path / "copy")


def scores(run, *options):
    assert main(["evaluate", str(run), *options, "--device", "cpu"]) == 0
    return json.loads((run / "evaluation.json").read_text())


def samples_of(run, domain):
    return parse("evaluate", evaluate, ("run",), [str(run)])["data"].evaluation(domain)


def plain_iou(said, mask, classes):
    """IoU of each class over labelled pixels; None where neither holds it."""
    said, mask = said[mask != IGNORE], mask[mask != IGNORE]
    unions = [int(((said == c) | (mask == c)).sum()) for c in range(classes)]
    return [int(((said == c) & (mask == c)).sum()) / union if union else None for c, union in enumerate(unions)]


def mean(values):
    present = [value for value in values if value is not None]
    return sum(present) / len(present)


@pytest.mark.parametrize("options", [[], ["--via", "embedding"], ["--full_resolution"], ["--variant", "zero-absent"]])
def test_details_are_added_and_nothing_else_changes(options, run):
    plain = scores(run, *options)
    assert plain.keys() == {"domains", "sum_miou", "model", "command", "seconds"}
    keys = {"images", "miou", "pixel_accuracy", "iou", "confusion", "split", "full_resolution", "via", "variant"}
    assert all(domain.keys() == keys for domain in plain["domains"].values())
    assert not (run / "features.npz").exists()
    detailed = scores(run, *options, "--details", "true")
    assert detailed.keys() == plain.keys() | {"centroid_similarity", "same_name_similarity"}
    for name, domain in plain["domains"].items():
        assert detailed["domains"][name].keys() == keys | NEW
        assert {key: detailed["domains"][name][key] for key in keys} == domain
    assert (run / "features.npz").is_file()


@pytest.mark.parametrize("via", ["decoder", "embedding"])
@pytest.mark.parametrize("domain", ["streets", "rooms"])
def test_values_are_those_of_the_predictions(domain, via, run):
    found = scores(run, "--domain", domain, "--via", via, "--details", "true")["domains"][domain]
    predictor = Predictor(SegmentationModel.load(run), via, device="cpu")
    spaces = predictor.model.label_spaces
    other = next(name for name in spaces if name != domain)
    classes = len(spaces[domain])
    mious, boundary, widths = {}, 0, []
    gaps, seen_as = np.zeros(15), np.zeros((classes, len(spaces[other])), dtype=int)
    for image, mask, name, _ in samples_of(run, domain):
        said = predictor(image, domain)
        mious[name] = mean(plain_iou(said.mask, mask, classes))
        widths.append(boundary_width(*mask.shape))
        boundary = boundary + boundary_counts(said.mask, mask, classes, widths[-1])
        elsewhere = predictor(image, domain, other).mask
        for true, own, sure, else_said in zip(
            *(m.flatten().tolist() for m in (mask, said.mask, said.confidence, elsewhere)), strict=True
        ):
            if true != IGNORE:
                gaps[next(m for m in range(15) if sure <= (m + 1) / 15)] += (own == true) - sure
                seen_as[true, else_said] += 1
    assert found["image_mious"] == pytest.approx(mious, abs=1e-6)
    assert found["image_miou"] == pytest.approx(mean(mious.values()), abs=1e-6)
    ious = [int(i) / int(u) if u else None for i, u in boundary.T]
    assert list(found["boundary_iou"].values()) == [v if v is None else pytest.approx(v, abs=1e-6) for v in ious]
    assert list(found["boundary_iou"]) == list(spaces[domain].classes)
    assert found["boundary_miou"] == pytest.approx(mean(ious), abs=1e-6)
    assert found["boundary_width"] == pytest.approx(mean(widths))
    assert found["calibration"]["error"] == pytest.approx(abs(gaps).sum() / seen_as.sum(), abs=1e-5)
    expected = {
        title: {said: int(n) for said, n in zip(spaces[other].classes, row, strict=True) if n}
        for title, row in zip(spaces[domain].classes, seen_as, strict=True)
    }
    assert found["seen_as"] == {other: expected}


def test_every_labelled_pixel_is_counted_once_everywhere(run):
    for domain in scores(run, "--details", "true")["domains"].values():
        pixels = {title: sum(row.values()) for title, row in domain["confusion"].items()}
        for table in domain["seen_as"].values():
            assert {title: sum(row.values()) for title, row in table.items()} == pixels
        bins = domain["calibration"]["bins"]
        assert len(bins) == 15 and sum(one["pixels"] for one in bins) == sum(pixels.values())
        assert all((one["confidence"] is None) == (one["pixels"] == 0) for one in bins)
        right = sum(one["accuracy"] * one["pixels"] for one in bins if one["pixels"])
        assert right / sum(pixels.values()) == pytest.approx(domain["pixel_accuracy"], abs=1e-5)


def test_centroids_are_compared_between_domains_both_ways(run):
    found = scores(run, "--details", "true")
    model = SegmentationModel.load(run)
    means = {}
    for name, space in model.label_spaces.items():
        sums, pixels = torch.zeros(len(space), model.feature_channels), torch.zeros(len(space))
        for image, mask, *_ in samples_of(run, name):
            with torch.no_grad():
                features = F.interpolate(model.features(image[None], name), mask.shape, mode="bilinear")[0]
            for c in range(len(space)):
                sums[c] += features[:, mask == c].sum(dim=1)
                pixels[c] += (mask == c).sum()
        means |= {f"{name}/{title}": sums[c] / pixels[c] for c, title in enumerate(space.classes) if pixels[c]}
    table = found["centroid_similarity"]
    assert table.keys() == means.keys()
    for one, others in table.items():
        assert others.keys() == {other for other in means if other.split("/")[0] != one.split("/")[0]}
        for other, value in others.items():
            assert value == pytest.approx(float(F.cosine_similarity(means[one], means[other], dim=0)), abs=1e-4)
            assert value == table[other][one]


def test_features_file_needs_no_pickles_and_holds_features_of_the_images(run):
    scores(run, "--details", "true")
    with np.load(run / "features.npz", allow_pickle=False) as file:
        features, domains, classes = file["features"], file["domains"], file["classes"]
    model = SegmentationModel.load(run)
    assert features.dtype == np.float32 and features.shape == (len(domains), model.feature_channels)
    assert domains.dtype.kind == classes.dtype.kind == "U" and domains.shape == classes.shape
    assert set(domains) == {"streets", "rooms"}
    for name, space in model.label_spaces.items():
        there = {}
        for image, mask, *_ in samples_of(run, name):
            with torch.no_grad():
                cells = model.features(image[None], name)
            labels = F.interpolate(mask[None, None], cells.shape[-2:], mode="nearest-exact").flatten()
            for c, title in enumerate(space.classes):
                of_class = cells[0].flatten(1).T[labels == c]
                there.setdefault(title, []).append(of_class.numpy())
        for title, images in there.items():
            drawn = features[(domains == name) & (classes == title)]
            assert len(drawn) == sum(min(20, len(cells)) for cells in images)
            distances = np.abs(drawn[:, None] - np.concatenate(images)[None]).max(axis=2)
            assert (distances.min(axis=1) < 1e-5).all() if len(drawn) else True


def test_repeated_call_writes_the_same(run):
    first, features = scores(run, "--details", "true"), (run / "features.npz").read_bytes()
    again = scores(run, "--details", "true")
    assert {k: v for k, v in again.items() if k != "seconds"} == {k: v for k, v in first.items() if k != "seconds"}
    assert (run / "features.npz").read_bytes() == features


def test_single_domain_has_nothing_to_be_compared_with_and_features_lie_beside_the_file(run, tmp_path):
    out = tmp_path / "elsewhere" / "scores.json"
    words = ["evaluate", str(run), "--domain", "rooms", "--details", "true", "--out", str(out), "--device", "cpu"]
    assert main(words) == 0
    found = json.loads(out.read_text())
    assert (found["centroid_similarity"], found["same_name_similarity"]) == ({}, None)
    with np.load(out.parent / "features.npz", allow_pickle=False) as file:
        assert set(file["domains"]) == {"rooms"}
    assert not (run / "features.npz").exists()
