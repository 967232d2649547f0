"""Batch norm with statistics of each domain against torch's layer."""

import copy
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
import torch.distributed
from torch import nn

from semiverse.models import DomainBatchNorm2d, convert_batch_norm, select_group


def layer(channels: int = 5) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, eps=1e-3, momentum=0.3)
    for tensor in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(tensor)
    nn.init.uniform_(norm.running_var, 0.5, 2.0)
    return norm


@pytest.mark.parametrize("training", [True, False])
def test_one_group_equals_torch_in_outputs_gradients_and_statistics(training):
    torch.manual_seed(0)
    reference = layer().train(training)
    ours = DomainBatchNorm2d(copy.deepcopy(reference), groups=1).train(training)
    images = torch.randn(4, 5, 6, 7)
    inputs = [images.clone().requires_grad_(), images.clone().requires_grad_()]
    outputs = [reference(inputs[0]), ours(inputs[1])]
    for out in outputs:
        out.pow(3).sum().backward()
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(inputs[0].grad, inputs[1].grad)
    assert torch.equal(reference.weight.grad, ours.weight.grad)
    assert torch.equal(reference.bias.grad, ours.bias.grad)
    assert torch.equal(reference.running_mean, ours.running_mean[0])
    assert torch.equal(reference.running_var, ours.running_var[0])


def test_a_group_in_training_moves_only_its_own_statistics():
    torch.manual_seed(0)
    ours = DomainBatchNorm2d(layer(), groups=3).train()
    before = ours.running_mean.clone(), ours.running_var.clone()
    select_group(ours, 1)
    ours(torch.randn(4, 5, 6, 7) + 10)
    for old, new in zip(before, (ours.running_mean, ours.running_var), strict=True):
        assert torch.equal(old[[0, 2]], new[[0, 2]])
        assert (old[1] != new[1]).all()


def test_evaluation_normalises_by_the_selected_group():
    ours = DomainBatchNorm2d(nn.BatchNorm2d(1), groups=2).eval()
    ours.running_mean[1], ours.running_var[1] = 3.0, 4.0
    x = torch.full((1, 1, 2, 2), 7.0)
    select_group(ours, 0)
    torch.testing.assert_close(ours(x), x, atol=1e-4, rtol=0)
    select_group(ours, 1)
    torch.testing.assert_close(ours(x), torch.full_like(x, 2.0), atol=1e-4, rtol=0)  # (7 - 3) / 2


def test_conversion_keeps_outputs_for_every_group():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 5, 3), layer(), nn.Sequential(nn.ReLU(), layer())).eval()
    x = torch.randn(2, 3, 8, 8)
    expected = network(x)
    convert_batch_norm(network, groups=2)
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())
    for group in (0, 1):
        select_group(network, group)
        assert torch.equal(network(x), expected)


def test_conversion_of_a_layer_by_itself_returns_its_replacement_and_keeps_the_weights():
    norm = layer()
    ours = convert_batch_norm(norm, groups=2)
    assert isinstance(ours, DomainBatchNorm2d)
    assert ours.weight is norm.weight
    assert (ours.eps, ours.momentum, tuple(ours.running_var.shape)) == (1e-3, 0.3, (2, 5))


def test_layers_without_running_statistics_or_affine_parameters():
    network = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False), nn.BatchNorm2d(3, affine=False))
    convert_batch_norm(network, groups=2)
    assert isinstance(network[0], nn.BatchNorm2d)
    assert network[1].weight is None
    assert network(torch.randn(2, 3, 4, 4)).std().item() == pytest.approx(1.0, abs=0.05)


def test_activation_inside_a_layer_of_timm_is_kept():
    from timm.layers import BatchNormAct2d

    torch.manual_seed(0)
    source = BatchNormAct2d(5, act_layer=nn.SiLU).eval()
    nn.init.normal_(source.running_mean)
    x = torch.randn(2, 5, 4, 4)
    expected = source(x)
    ours = convert_batch_norm(source, groups=2)
    assert torch.equal(ours(x), expected)
    assert expected.min() > -0.3  # the activation's floor: without it outputs would reach -2


@pytest.mark.parametrize("training", [True, False])
def test_bfloat16_autocast_and_channels_last_follow_torch(training):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 5, 3), layer()).to(memory_format=torch.channels_last).train(training)
    ours = convert_batch_norm(copy.deepcopy(network), groups=2)
    x = torch.randn(2, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected, found = network(x), ours(x)
    assert found.dtype == expected.dtype == torch.bfloat16
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, expected)


def test_two_forward_passes_before_one_backward_pass():
    ours = DomainBatchNorm2d(layer(), groups=2).train()
    total = torch.zeros(())
    for group in (0, 1, 0):
        select_group(ours, group)
        total = total + ours(torch.randn(2, 5, 4, 4, requires_grad=True)).square().sum()
    total.backward()
    assert ours.weight.grad.isfinite().all()


def test_one_value_a_channel_in_training_is_refused():
    with pytest.raises(ValueError, match="expected two or more"):
        DomainBatchNorm2d(layer(), groups=1).train()(torch.randn(1, 5, 1, 1))


def test_cumulative_average_is_refused():
    with pytest.raises(ValueError, match="momentum"):
        convert_batch_norm(nn.BatchNorm2d(3, momentum=None), groups=2)


def _joint_network() -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 5, 3), layer(), nn.ReLU(), nn.Conv2d(5, 4, 3), layer(4))
    return convert_batch_norm(network, groups=2).train()


def _one_of_two(position: str, folder: str) -> None:
    rank = int(position)
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    network = _joint_network()
    select_group(network, 1)
    images = torch.load(f"{folder}/images.pt", weights_only=True)
    mine = (images[:1] if rank == 0 else images[1:]).requires_grad_()  # one image here, three there
    out = network(mine)
    out.pow(3).sum().backward()
    for p in network.parameters():
        torch.distributed.all_reduce(p.grad)
    grads = [p.grad for p in network.parameters()]
    torch.save((out.detach(), mine.grad, grads, dict(network.named_buffers())), f"{folder}/{rank}.pt")
    torch.distributed.barrier()  # a connection that the other one closes first can end this process
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_equal_one_process_on_the_joint_batch():
    torch.manual_seed(1)
    images = torch.randn(4, 3, 8, 9) * 3 + 5
    network = _joint_network()
    select_group(network, 1)
    joint = images.clone().requires_grad_()
    expected = network(joint)
    expected.pow(3).sum().backward()
    with tempfile.TemporaryDirectory() as folder:
        torch.save(images, f"{folder}/images.pt")
        script = "import sys; from tests.models.test_batch_norm import _one_of_two; _one_of_two(*sys.argv[1:])"
        words = [sys.executable, "-c", script]
        root = Path(__file__).parents[2]
        processes = [subprocess.Popen([*words, str(rank), folder], cwd=root) for rank in (0, 1)]
        assert [process.wait(timeout=120) for process in processes] == [0, 0]
        results = [torch.load(Path(folder) / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    torch.testing.assert_close(torch.cat([r[0] for r in results]), expected.detach(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(torch.cat([r[1] for r in results]), joint.grad, atol=1e-4, rtol=1e-4)
    for result in results:
        for found, parameter in zip(result[2], network.parameters(), strict=True):
            torch.testing.assert_close(found, parameter.grad, atol=2e-4, rtol=1e-4)
        for name, buffer in network.named_buffers():
            torch.testing.assert_close(result[3][name], buffer, atol=1e-5, rtol=1e-5)
