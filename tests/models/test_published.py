"""Published weights: names, prefixes, the key report, and files that are refused."""

import os
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from semiverse.models import DilatedResidualNetwork, build_encoder, load_weights, read_tensors


def trained(name: str = "drn_d_22") -> DilatedResidualNetwork:
    """A network whose tensors all differ from those of a fresh one."""
    network = DilatedResidualNetwork(name, width=0.125)
    for value in network.state_dict().values():
        if value.is_floating_point():
            nn.init.uniform_(value, 0.5, 1.5)
    return network


def published(network: nn.Module) -> dict[str, torch.Tensor]:
    """As the files of 2017 are: no counters of batches, and a classifier."""
    state = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    return {**state, "fc.weight": torch.zeros(1000, 64, 1, 1), "fc.bias": torch.zeros(1000)}


def wrapped(network: nn.Module) -> dict[str, torch.Tensor]:
    """As the public segmentation code saves: the children in a sequence named base, and its own head."""
    positions = {name: i for i, (name, _) in enumerate(network.named_children())}
    state = {
        f"module.base.{positions[key.split('.', 1)[0]]}.{key.split('.', 1)[1]}": value
        for key, value in network.state_dict().items()
    }
    return {"state_dict": {**state, "module.seg.weight": torch.zeros(19, 64, 1, 1)}, "epoch": 3}


def differing(first: nn.Module, second: nn.Module) -> list[str]:
    other = second.state_dict()
    return [k for k, v in first.state_dict().items() if not k.endswith("tracked") and not torch.equal(v, other[k])]


@pytest.mark.parametrize("zipped", [True, False])
def test_a_published_file_is_copied_and_reported(tmp_path, zipped):
    source, target = trained(), DilatedResidualNetwork("drn_d_22", width=0.125)
    torch.save(published(source), tmp_path / "drn.pth", _use_new_zipfile_serialization=zipped)
    report = load_weights(target, tmp_path / "drn.pth")
    assert differing(source, target) == []
    assert report.skipped == ("fc.weight", "fc.bias")
    assert report.missing == ()
    assert str(report).endswith(
        f"{len(report.copied)} tensors copied, 2 of the file skipped (fc.weight, fc.bias), "
        "0 of the network left as they were"
    )


@pytest.mark.parametrize(("name", "first"), [("drn_d_22", "layer0.0.weight"), ("drn_c_26", "conv1.weight")])
def test_names_of_the_segmentation_code_are_translated(tmp_path, name, first):
    source, target = trained(name), DilatedResidualNetwork(name, width=0.125)
    file = wrapped(source)
    assert "module.base.0.0.weight" in file["state_dict"] or "module.base.0.weight" in file["state_dict"]
    torch.save(file, tmp_path / "segmentation.pth")
    report = load_weights(target, tmp_path / "segmentation.pth")
    assert differing(source, target) == []
    assert first in report.copied
    assert report.skipped == ("seg.weight",)


def test_family_c_counts_children_from_its_stem():
    names = [name for name, _ in DilatedResidualNetwork("drn_c_26", width=0.125).named_children()]
    assert names == ["conv1", "bn1", "relu", *(f"layer{k}" for k in range(1, 9))]
    names = [name for name, _ in DilatedResidualNetwork("drn_d_22", width=0.125).named_children()]
    assert names == [f"layer{k}" for k in range(9)]


def test_prefixes_come_off_as_often_as_they_occur_and_safetensors_is_read(tmp_path):
    target = nn.Conv2d(1, 1, 1)
    save_file({"module.Scale.module.weight": torch.full((1, 1, 1, 1), 3.0)}, tmp_path / "w.safetensors")
    report = load_weights(target, tmp_path / "w.safetensors")
    assert target.weight.item() == 3.0
    assert (report.copied, report.missing) == (("weight",), ("bias",))


def test_a_tensor_of_another_shape_is_skipped_and_missed(tmp_path):
    torch.save({"weight": torch.zeros(2, 1, 1, 1), "bias": torch.full((1,), 5.0)}, tmp_path / "w.pth")
    target = nn.Conv2d(1, 1, 1)
    before = target.weight.clone()
    report = load_weights(target, tmp_path / "w.pth")
    assert (report.copied, report.skipped, report.missing) == (("bias",), ("weight",), ("weight",))
    assert target.bias.item() == 5.0
    assert torch.equal(target.weight, before)


def test_weights_of_a_timm_network_load_by_their_own_names(tmp_path):
    from torchvision.models import resnet18

    torch.manual_seed(0)
    reference = resnet18(weights=None)
    torch.save(reference.state_dict(), tmp_path / "resnet18.pth")
    encoder = build_encoder("resnet18", 32)
    report = load_weights(encoder.trunk, tmp_path / "resnet18.pth")
    assert report.missing == ()
    assert report.skipped == ("fc.weight", "fc.bias")


def test_nothing_that_fits_is_an_error_that_shows_both_sides(tmp_path):
    torch.save({"encoder.weight": torch.zeros(2)}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"found encoder.weight \(2,\); expected weight \(1, 1, 1, 1\)"):
        load_weights(nn.Conv2d(1, 1, 1), tmp_path / "w.pth")


class Harmful:
    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_file_with_code_is_refused_and_not_run(tmp_path, writer):
    path, marker = tmp_path / "weights.pth", tmp_path / "executed"
    content = {"weight": torch.zeros(1), "extra": Harmful(marker)}
    if writer == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(ValueError, match="could run code and is refused"):
        read_tensors(path)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not a file of tensors", b"\x80\x02}"])
def test_a_damaged_file_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        read_tensors(tmp_path / name)


def test_a_truncated_file_is_refused(tmp_path):
    torch.save({"weight": torch.zeros(1000)}, tmp_path / "w.pth")
    (tmp_path / "w.pth").write_bytes((tmp_path / "w.pth").read_bytes()[:2000])
    with pytest.raises(ValueError, match="damaged"):
        read_tensors(tmp_path / "w.pth")


def test_a_missing_file_and_one_without_tensors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no weights file .*gone\.pth"):
        read_tensors(tmp_path / "gone.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="holds no named tensors but a list"):
        read_tensors(tmp_path / "list.pth")
