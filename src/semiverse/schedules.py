"""How learning rates fall and loss weights rise."""


def polynomial(done: int, total: int, power: float = 0.9) -> float:
    """Factor of the learning rate after ``done`` of ``total`` steps or epochs: (1 - done / total) ** power (B.2)."""
    return float(max(0.0, 1.0 - done / total) ** power)


def ramp(progress: float, begin: float, end: float) -> float:
    """Factor that is 0 until ``begin``, rises linearly and is 1 from ``end`` on; all three are shares of a run."""
    if progress < begin:
        return 0.0
    return 1.0 if progress >= end else (progress - begin) / (end - begin)
