"""What ``evaluate`` finds out beyond scores: of images, contours, probabilities, other domains' classes."""

from semiverse.commands.detailing.details import Details
from semiverse.commands.detailing.observed import ObservedPredictor

__all__ = ["Details", "ObservedPredictor"]
