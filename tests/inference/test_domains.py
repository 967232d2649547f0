"""Which domain an image resembles."""

import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from semiverse.datasets import Folder
from semiverse.inference.asking import Asking
from semiverse.inference.domains import SIDE, note_domains, pooled, recognize
from semiverse.inference.predictor import Question
from semiverse.labels import LabelSpace
from semiverse.mixture import Domain, DomainMixture
from semiverse.models import DomainStatistics, ModelConfig, SegmentationModel
from tests.robustness.yards import folder, yard

LEVELS = {"night": 40, "snow": 200}


def picture(level: int, seed: int) -> torch.Tensor:
    noise = torch.randint(-30, 30, (3, 32, 48), generator=torch.Generator().manual_seed(seed))
    return (noise + level).to(torch.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> SegmentationModel:
    """One that was not trained: dark and bright images differ for any network."""
    domains, root = {}, tmp_path_factory.mktemp("domains")
    for name, level in LEVELS.items():
        for kind in ("images", "masks"):
            (root / name / kind).mkdir(parents=True)
        for seed in range(6):
            Image.fromarray(picture(level, seed).permute(1, 2, 0).numpy()).save(root / name / "images" / f"{seed}.png")
            Image.new("L", (48, 32)).save(root / name / "masks" / f"{seed}.png")
        domains[name] = Domain(Folder(root / name, ["ground", "sky"], name=name), train="all", val="all")
    torch.manual_seed(0)
    data = DomainMixture(domains, batch_size=2, workers=0)
    model = SegmentationModel(ModelConfig("drn_d_22", width=0.0625), data.label_spaces).eval()
    note_domains(model, data)
    return model


def test_images_that_were_not_seen_are_told_apart_also_after_saving(model, tmp_path):
    model.save(tmp_path / "model")
    again = SegmentationModel.load(tmp_path / "model")
    for name, level in LEVELS.items():
        for seed in range(10, 14):
            domain, likeness = recognize(again, picture(level, seed))
            assert domain == name and 0.9 < likeness <= 1


def test_images_that_cannot_be_read_are_told_and_the_others_do(tmp_path):
    data = DomainMixture({"yard": Domain(folder(yard(tmp_path)), train="all", val="all")}, batch_size=2, workers=0)
    model = SegmentationModel(ModelConfig("drn_d_22", width=0.0625), data.label_spaces).eval()
    data.domains["yard"].subset("all")
    (tmp_path / "images" / "b.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match=r"1 of 3 images by which domain yard is recognized cannot be read, .*b\.png"):
        note_domains(model, data)
    assert model.domain_statistics is not None


def test_probability_is_that_of_independent_normal_features():
    """Means 0 and 4, deviation 1 and sharpness 1: at 1 the log odds are (9 - 1) / 2 = 4."""
    known = DomainStatistics(torch.tensor([[0.0], [4.0]]), torch.ones(2, 1), torch.ones(1))
    first, second = known.probabilities(torch.tensor([[1.0]]))[0].tolist()
    assert first / second == pytest.approx(torch.tensor(4.0).exp().item(), rel=1e-5)


def test_variances_of_few_images_are_mostly_those_of_all():
    """Variances 1 and 9, of all 5; two images: a ninth of each and eight ninths of 5."""
    vectors = [torch.tensor([[0.0], [2.0]]), torch.tensor([[10.0], [16.0]])]
    known = DomainStatistics.estimate(vectors)
    assert known.mean.flatten().tolist() == [1, 13]
    assert known.deviation.square().flatten().tolist() == pytest.approx([41 / 9, 49 / 9])
    single = DomainStatistics.estimate([torch.zeros(1, 2), torch.ones(1, 2)])
    assert single.sharpness.item() == 1 and single.probabilities(torch.zeros(1, 2)).isfinite().all()


def test_large_images_are_made_smaller_first(model):
    small = picture(100, 0)
    large = small.repeat_interleave(20, 1).repeat_interleave(20, 2)
    vector = pooled(model, large)
    assert vector.shape == pooled(model, small).shape and vector.isfinite().all()
    assert torch.equal(vector, pooled(model, tv.resize(large, [SIDE, SIDE * 3 // 2], antialias=True)))


def test_questions_of_each_way_to_ask(model, tmp_path):
    ask = Asking(model, "auto", None).of(picture(200, 20))
    assert ask.questions == (Question("snow", "snow"),) and ask.likeness > 0.9
    every = Asking(model, "all", None)
    assert every.of(picture(200, 20)).questions == tuple(Question(name, name) for name in LEVELS)
    assert every.folder(tmp_path, every.possible[0]) == tmp_path / "night"
    labels = Asking(model, "snow", "all")
    assert labels.possible == (Question("snow", "night"), Question("snow", "snow"))
    assert labels.folder(tmp_path, labels.possible[0]) == tmp_path / "night"
    single = Asking(model, "snow", None)
    assert single.folder(tmp_path, single.possible[0]) == tmp_path
    plain = SegmentationModel(ModelConfig("drn_d_22", width=0.0625), model.label_spaces)
    with pytest.raises(ValueError, match=r"no statistics.*--domain, of night, snow"):
        Asking(plain, "auto", None)


def test_an_only_domain_is_what_every_image_is_like():
    model = SegmentationModel(ModelConfig("drn_d_22", width=0.0625), {"yard": LabelSpace("two", ("grass", "path"))})
    asking = Asking(model, "auto", None)
    assert not asking.auto and asking.of(picture(0, 0)).questions == (Question("yard", "yard"),)
