"""What a service counts, for Prometheus."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

KNOWN = ("/", "/health", "/metrics", "/models", "/segment")


class Counters:
    """Requests by path and status, their seconds, images a batch, requests that wait."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter("semiverse_requests", "Requests answered", ("path", "status"), registry=self._registry)
        self._seconds = Histogram("semiverse_seconds", "Seconds a request", ("path",), registry=self._registry)
        self._images = Histogram(
            "semiverse_batch_images", "Images of a batch", buckets=(1, 2, 4, 8, 16, 32), registry=self._registry
        )
        self._waiting = Gauge("semiverse_waiting", "Requests that wait for their turn", registry=self._registry)

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count a request; paths that do not exist are one."""
        path = path if path in KNOWN else "other"
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def batch(self, images: int) -> None:
        """Count a batch of so many images."""
        self._images.observe(images)

    def text(self, waiting: int) -> bytes:
        """Everything, as Prometheus reads it."""
        self._waiting.set(waiting)
        return generate_latest(self._registry)
