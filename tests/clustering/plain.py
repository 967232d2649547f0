"""The published algorithm, written down as slowly and plainly as it reads."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class PlainNetwork(nn.Module):
    def __init__(self, channels=100, layers=2):
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels if i else 3, channels, 3, padding=1) for i in range(layers)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(layers))
        self.last = nn.Conv2d(channels, channels, 1)
        self.last_norm = nn.BatchNorm2d(channels)

    def forward(self, image):
        maps = image
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            maps = norm(F.relu(convolution(maps)))
        return self.last_norm(self.last(maps))[0].permute(1, 2, 0).reshape(-1, self.last.out_channels)


def refine(labels, superpixels):
    """Two loops: superpixels, and the labels in each."""
    refined = labels.copy()
    for superpixel in np.unique(superpixels):
        inside = np.where(superpixels == superpixel)[0]
        values = np.unique(labels[inside])
        counts = np.zeros(len(values))
        for j, value in enumerate(values):
            counts[j] = len(np.where(labels[inside] == value)[0])
        refined[inside] = values[np.argmax(counts)]
    return refined


def losses_and_counts(image, superpixels, iterations, seed=0, channels=100, min_labels=3):
    """What each iteration prints: labels before refinement, and the loss."""
    torch.manual_seed(seed)
    network = PlainNetwork(channels)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    values = image[None].float() / 255
    printed = []
    for _ in range(iterations):
        optimizer.zero_grad()
        output = network(values)
        labels = output.detach().max(1).indices.numpy()
        count = len(np.unique(labels))
        loss = F.cross_entropy(output, torch.from_numpy(refine(labels, superpixels.flatten().numpy())))
        loss.backward()
        optimizer.step()
        printed.append((count, float(loss.detach())))
        if count <= min_labels:
            break
    return printed
