"""Answer requests with a model: a page and an HTTP interface."""

import ipaddress
import os
from pathlib import Path
from typing import Literal

from semiverse.inference.predictor import Predictor
from semiverse.models import SegmentationModel
from semiverse.serving.service import Limits, application


def serve(
    run: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    via: Literal["decoder", "embedding"] = "decoder",
    device: str = "auto",
    limits: Limits = Limits(),
) -> int:
    """Open a page and an HTTP interface around a model, until Ctrl-C; what is being answered then is finished.

    The page is at http://HOST:PORT/, what can be asked at /openapi.json. Needs ``pip install "semiverse[serve]"``.

    Args:
        run: A run folder, or the model folder in it.
        host: Address to listen at; others than those of this machine need a token.
        port: Port to listen at.
        token: What requests have to carry as Authorization: Bearer; None: the variable SEMIVERSE_TOKEN, or nothing.
        via: By the decoder, or by the most similar label embedding.
        device: Where to compute; auto: a GPU if there is one.
        limits: Of requests: megabytes, megapixels, waiting requests, images of a batch.

    Returns:
        0.

    Raises:
        FileNotFoundError: If there is no model.
        ValueError: If others could reach the service and there is no token.
    """
    import uvicorn

    token = token or os.environ.get("SEMIVERSE_TOKEN")
    if token is None and not _of_this_machine(host):
        raise ValueError(
            f"host {host} can be reached by others and there is no token; expected one: add --token TEXT, or listen at "
            "127.0.0.1"
        )
    predictor = Predictor(SegmentationModel.load(run), via, device=device)
    print(f"http://{host}:{port}/ shows {run}; Ctrl-C ends it", flush=True)
    name = run.name if run.name != "model" else run.resolve().parent.name
    uvicorn.run(application(predictor, name, limits, token), host=host, port=port, log_level="warning")
    return 0


def _of_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
