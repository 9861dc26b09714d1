"""Live devices: who they are, all their values in one binary frame, and the WebSocket that keeps pages current."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from citytwin.errors import InputError
from citytwin.server import encoding
from citytwin.server.hub import Hub, Mailbox
from citytwin.server.served import Served

BINARY = "application/octet-stream"


async def devices(request: Request) -> Response:
    """Keys, names and kinds of all devices, in the order of the frames."""
    here: Served = request.app.state.served

    def made() -> tuple[str, Response]:
        hub = here.hub
        body = encoding.dumps(
            {"keys": hub.keys, "kinds": hub.kinds, "kind": hub.kind.tolist(), "names": hub.names}
        )  # fmt: skip
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        return tag, encoding.packed(body, "application/json", {"etag": tag, "cache-control": "no-cache"})

    tag, answer = await run_in_threadpool(here.places.once, "devices", made)
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"etag": tag})
    return Response(answer.body, headers=dict(answer.headers))


async def snapshot(request: Request) -> Response:
    """All devices now, or at the time `?at=`, as one binary frame."""
    here: Served = request.app.state.served
    at = request.query_params.get("at")
    if at is None:
        return Response(here.hub.snapshot(), media_type=BINARY)
    seconds = encoding.moment(at, "at")
    state = await run_in_threadpool(here.twin.state_at, seconds)
    return Response(here.hub.snapshot_of(state), media_type=BINARY)


async def stream(socket: WebSocket) -> None:
    """A snapshot, then deltas and messages until the page goes away."""
    here: Served = socket.app.state.served
    await socket.accept()
    box = here.hub.come()
    for words in (*here.jobs.words(), *here.news.words()):
        box.put_words(*words)
    sending = asyncio.create_task(_send(socket, here.hub, box))
    try:
        while True:  # a page has nothing to say; this ends when it leaves
            await socket.receive_text()
    except (WebSocketDisconnect, KeyError, RuntimeError):
        pass
    finally:
        here.hub.pages.discard(box)
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await sending


async def _send(socket: WebSocket, hub: Hub, box: Mailbox) -> None:
    while True:
        snapshot_due, deltas, words = box.take()
        if snapshot_due:
            await socket.send_bytes(hub.snapshot())
        for frame in deltas:
            await socket.send_bytes(frame)
        for message in words:
            await socket.send_text(message)
        await box.filled.wait()


async def not_a_page(request: Request) -> Response:
    """An ordinary request to the WebSocket's address."""
    raise InputError("this address is a WebSocket", "/api/live", "connect with ws://")


routes = [
    Route("/api/live/devices", devices),
    Route("/api/live/snapshot", snapshot),
    WebSocketRoute("/api/live", stream),
    Route("/api/live", not_a_page),
]
