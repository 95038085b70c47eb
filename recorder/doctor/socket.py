"""The socket of a check: frames both ways, every PING answered at once, everything counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import trio

from recorder.tap import TapStream
from recorder.track.kinds import objects_of, ping_uuids, pong_text, read_message
from recorder.wire.frames import Frame, FrameParser, Opcode, Unparsed, close_frame
from recorder.wire.frames import random_masking_key as masking_key
from recorder.wire.messages import Message, MessageAssembler, Problem

__all__ = ["LiveSocket"]

_SEND_S = 10.0


class LiveSocket:
    """An open socket, the client's side. ``early`` came behind the handshake. Moments are of
    trio's clock.

    *Resource handling:* closing the stream is the caller's.
    """

    def __init__(self, stream: TapStream, early: bytes) -> None:
        self.opened_s = trio.current_time()
        self.messages = 0
        """Data messages of the server, PINGs aside."""
        self.kinds: Counter[str] = Counter()
        """How many of them had something of a kind."""
        self.objects: Counter[str] = Counter()
        """What they held: objects by kind."""
        self.first_s: float | None = None
        self.size_bytes = 0
        self.answered: list[float] = []
        """When each PING was answered."""
        self.problems: list[str] = []
        """What RFC 6455 forbids in what the server sent."""
        self.control_pongs: set[bytes] = set()
        self.close: Frame | None = None
        """The server's close frame."""
        self.ended = ""
        """How the connection ended, in words; empty while it stands."""
        self._stream = stream
        self._parser = FrameParser()
        self._messages = MessageAssembler()
        self._closing = False
        self._replies = self._take(early)

    @property
    def over(self) -> bool:
        """Whether the server says nothing more."""
        return bool(self.ended) or self.close is not None

    def why_over(self) -> str:
        """How it ended, in words."""
        if self.close is None:
            return self.ended
        code = self.close.close_code
        said = "no code" if code is None else f"{code} {self.close.close_reason}".rstrip()
        return f"the server closed it with {said}"

    async def listen(self, until: Callable[[], bool], within_s: float) -> bool:
        """Read, and answer what wants an answer, until ``until()``; False if the time or the socket
        ended before that.
        """
        deadline_s = trio.current_time() + within_s
        while True:
            await self._reply()
            if until():
                return True
            if self.over:
                return False
            with trio.move_on_at(deadline_s) as patience:
                try:
                    data = bytes(await self._stream.receive_some())
                except trio.BrokenResourceError:
                    self.ended = "the connection was reset"
                    continue
            if patience.cancelled_caught:
                return False
            if not data:
                torn = " inside a frame" if self._parser.pending else " without a close frame"
                self.ended = f"the server ended it{torn}"
            self._replies += self._take(data)

    async def ping(self, payload: bytes) -> None:
        """Send a ping frame (RFC 6455 section 5.5.2)."""
        await self._send(Frame.make(Opcode.PING, payload, mask=masking_key()))

    async def say_goodbye(self, code: int) -> None:
        """Send a close frame, unless one was sent."""
        if not self._closing:
            self._closing = True
            await self._send(close_frame(code, mask=masking_key()))

    async def wait_for_end(self, within_s: float) -> bool:
        """Read until the server ends the connection too; what comes is of no interest."""
        with trio.move_on_after(within_s):
            try:
                while await self._stream.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass
            return True
        return False

    async def _reply(self) -> None:
        replies, self._replies = self._replies, []
        for reply in replies:
            if reply.opcode == Opcode.CLOSE:
                if self._closing:
                    continue
                self._closing = True
            await self._send(reply)
            if reply.opcode == Opcode.TEXT:
                self.answered.append(trio.current_time())

    async def _send(self, frame: Frame) -> None:
        with trio.move_on_after(_SEND_S) as patience:
            try:
                await self._stream.send_all(frame.serialize())
            except trio.BrokenResourceError:
                self.ended = self.ended or "the connection was reset"
        if patience.cancelled_caught:
            self.ended = f"the server took nothing for {_SEND_S:g} s"

    def _take(self, data: bytes) -> list[Frame]:
        """Count what came; returns what is to be answered."""
        replies: list[Frame] = []
        for event in self._parser.feed(data):
            if isinstance(event, Unparsed):
                self._problem(event.why)
                self.ended = "what came was no frame any more"
                break
            for problem in event.check("server"):
                self._problem(problem)
            if event.opcode == Opcode.PING:
                replies.append(Frame.make(Opcode.PONG, event.payload, mask=masking_key()))
            elif event.opcode == Opcode.PONG:
                self.control_pongs.add(event.payload)
            elif event.opcode == Opcode.CLOSE and self.close is None:
                self.close = event
                # 5.5.1: the code that came is sent back.
                payload = event.payload[:2]
                replies.append(Frame.make(Opcode.CLOSE, payload, mask=masking_key()))
            for message in self._messages.feed(event):
                if isinstance(message, Problem):
                    self._problem(message.why)
                else:
                    replies += self._message(message)
        return replies

    def _message(self, message: Message) -> list[Frame]:
        if not message.is_text:
            self._data({"binary": 0}, len(message.payload))
            return []
        uuids = dict.fromkeys(ping_uuids(message.payload))
        objects: dict[str, int] = {}
        for part in read_message(message.payload):
            if not (uuids and part.kind == "status"):
                objects[part.kind] = objects.get(part.kind, 0) + len(objects_of(part))
        if objects:
            self._data(objects, len(message.payload))
        return [
            Frame.make(Opcode.TEXT, pong_text(uuid).encode(), mask=masking_key()) for uuid in uuids
        ]

    def _data(self, objects: dict[str, int], size_bytes: int) -> None:
        if self.first_s is None:
            self.first_s = trio.current_time()
        self.messages += 1
        self.size_bytes += size_bytes
        self.kinds.update(objects.keys())
        self.objects.update(objects)

    def _problem(self, why: str) -> None:
        if why not in self.problems:
            self.problems.append(why)
