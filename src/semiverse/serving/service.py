"""The HTTP service: one model, its questions, its limits."""

import asyncio
import hmac
import io
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from PIL import Image
from torch import Tensor

from semiverse import __version__
from semiverse.data.headers import opened
from semiverse.inference.asking import Asked, Asking
from semiverse.inference.predictor import Predictor
from semiverse.inference.sources import as_image
from semiverse.serving.answers import described, mask_png, overlay_jpeg
from semiverse.serving.batching import Batches, Busy
from semiverse.serving.counters import Counters

PAGE = Path(__file__).with_name("page.html")
UNGUARDED = ("/", "/health")
"""What needs no token: neither shows anything of the model."""
Form = Literal["mask", "overlay", "json"]


@dataclass(frozen=True)
class Limits:
    """What a request may be, and how many of them.

    Args:
        megabytes: Of the file that is sent, in 10^6 bytes.
        megapixels: Of the image in it, in 10^6; looked up before anything is decoded.
        waiting: Requests that wait for their turn.
        batch: Images that are segmented together.
    """

    megabytes: float = 20.0
    megapixels: float = 50.0
    waiting: int = 64
    batch: int = 8


class Service:
    """What can be asked of a model; every method answers a path.

    Args:
        predictor: The model, ready.
        name: What the model is called.
        limits: Of requests.
        token: What a request has to carry as ``Authorization: Bearer``; None: nothing.
    """

    def __init__(self, predictor: Predictor, name: str, limits: Limits, token: str | None) -> None:
        self.predictor, self.name, self.limits, self.token = predictor, name, limits, token
        self.counters = Counters()
        self.batches = Batches(predictor, limits.batch, limits.waiting, self.counters.batch)

    async def watched(self, request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        """Refuse requests without the token, and count all of them."""
        began, path = time.perf_counter(), request.url.path
        if self.token is None or path in UNGUARDED or _carries(request, self.token):
            response = await go_on(request)
        else:
            detail = "no token, or another; expected the one of this service as Authorization: Bearer"
            response = JSONResponse({"detail": detail}, 401)
        self.counters.request(path, response.status_code, time.perf_counter() - began)
        return response

    def page(self) -> str:
        """The page."""
        return PAGE.read_text(encoding="utf-8")

    def health(self) -> dict[str, str]:
        """Whether the service answers."""
        return {"status": "ok"}

    def metrics(self) -> Response:
        """Counts and times, as Prometheus reads them."""
        return Response(self.counters.text(self.batches.waiting), media_type=self.counters.media_type)

    def models(self) -> list[dict[str, Any]]:
        """The model, its domains and their classes."""
        model = self.predictor.model
        domains = [
            {"name": title, "classes": list(space.classes), "colors": [list(color) for color in space.palette]}
            for title, space in model.label_spaces.items()
        ]
        about = {"name": self.name, "via": self.predictor.via, "auto": model.domain_statistics is not None}
        return [about | {"domains": domains}]

    async def segment(
        self,
        request: Request,
        domain: Annotated[str | None, Query(description="that the image is like; auto: found by its looks")] = None,
        labels: Annotated[str | None, Query(description="domain whose classes are asked for")] = None,
        form: Annotated[Form, Query(description="what comes back: PNG of ids, JPEG, or values")] = "mask",
        regions: Annotated[bool, Query(description="with form=json: polygons and run lengths as well")] = False,
    ) -> Response:
        """Segment the image that is the body of the request."""
        body = await _body(request, self.limits)
        try:
            image = await asyncio.to_thread(_image, body, self.limits)
            asked = await asyncio.to_thread(self._asked, domain, labels, image)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        try:
            waiting = self.batches.ask(image, asked.questions)
        except Busy as error:
            raise HTTPException(429, f"{error}; try again later", {"Retry-After": "1"}) from error
        found = (await asyncio.wrap_future(waiting))[0]
        question = asked.questions[0]
        headers = {"X-Domain": question.domain, "X-Labels": question.labels}
        if form == "json":
            values = await asyncio.to_thread(described, found, regions)
            about = {"domain": question.domain, "labels": question.labels, "likeness": asked.likeness}
            return JSONResponse(about | values, headers=headers)
        draw = mask_png if form == "mask" else partial(overlay_jpeg, image)
        media = "image/png" if form == "mask" else "image/jpeg"
        return Response(await asyncio.to_thread(draw, found), media_type=media, headers=headers)

    def _asked(self, domain: str | None, labels: str | None, image: Tensor) -> Asked:
        asking = Asking(self.predictor.model, domain, labels)
        if asking.several:
            raise ValueError("one answer a request is given; expected one domain, or auto: ask once for each")
        return asking.of(image)


def application(predictor: Predictor, name: str, limits: Limits = Limits(), token: str | None = None) -> FastAPI:
    """The application around a service; it opens nothing by itself. The arguments are those of ``Service``."""
    service = Service(predictor, name, limits, token)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.batches.close)

    app = FastAPI(title="semiverse", version=__version__, lifespan=life, docs_url=None, redoc_url=None)
    app.middleware("http")(service.watched)
    app.get("/", response_class=HTMLResponse, include_in_schema=False)(service.page)
    app.get("/health")(service.health)
    app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})(service.metrics)
    app.get("/models")(service.models)
    app.post("/segment", response_class=Response, responses=RESPONSES, openapi_extra=BODY)(service.segment)
    return app


BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "PNG of ids, JPEG, or values",
        "content": {"image/png": {}, "image/jpeg": {}, "application/json": {}},
    },
    401: {"description": "no token, or another"},
    413: {"description": "too many bytes or pixels"},
    422: {"description": "no image, or a domain that the model does not know"},
    429: {"description": "too many requests wait"},
}


def _carries(request: Request, token: str) -> bool:
    given = request.headers.get("authorization", "")
    return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())


async def _body(request: Request, limits: Limits) -> bytes:
    """The body, of which no more is kept than is allowed."""
    parts, size, most = [], 0, int(1e6 * limits.megabytes)
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise HTTPException(413, f"more than {limits.megabytes:g} MB were sent; expected at most so many")
        parts.append(part)
    return b"".join(parts)


def _image(body: bytes, limits: Limits) -> Tensor:
    """The image, (3, H, W) uint8, if its header promises no more pixels than are allowed."""
    try:
        with opened(io.BytesIO(body)) as header:
            pixels = header.width * header.height
    except Image.DecompressionBombError as error:
        raise HTTPException(413, f"{error}; expected at most {limits.megapixels:g} megapixels") from error
    except Exception:  # whatever is wrong with it, reading it says
        pixels = 0
    if pixels > 1e6 * limits.megapixels:
        raise HTTPException(413, f"{pixels / 1e6:.1f} megapixels; expected at most {limits.megapixels:g}")
    return as_image(body)
