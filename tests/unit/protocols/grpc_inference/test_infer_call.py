"""Large messages are converted one after the other, in threads."""

from __future__ import annotations

import asyncio
import threading

import pytest

from drum_litestar.protocols.grpc_inference.infer_call import QUICK, SMALL, converted


def test_where_messages_are_converted() -> None:
    async def main() -> None:
        turn = asyncio.Lock()

        def where(data: bytes, *arguments: int) -> tuple[bool, bool, int]:
            return threading.current_thread() is threading.main_thread(), turn.locked(), sum(arguments)

        assert await converted(turn, where, bytes(QUICK), 1, 2) == (True, False, 3)
        assert await converted(turn, where, bytes(QUICK + 1), 1, 2) == (False, False, 3)
        assert await converted(turn, where, bytes(SMALL + 1), 1, 2) == (False, True, 3)
        assert not turn.locked()

    asyncio.run(main())


def test_a_cancelled_conversion_keeps_its_turn_until_its_thread_ends() -> None:
    begun, go_on = threading.Event(), threading.Event()
    data = bytes(SMALL + 1)

    def wait(_: bytes) -> None:
        begun.set()
        go_on.wait(60)
        raise ValueError  # which nobody is there to hear of

    async def main() -> None:
        turn = asyncio.Lock()
        first = asyncio.ensure_future(converted(turn, wait, data))
        await asyncio.to_thread(begun.wait, 60)
        second = asyncio.ensure_future(converted(turn, len, data))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert turn.locked()
        assert not second.done()
        go_on.set()
        assert await second == len(data)
        assert not turn.locked()

    asyncio.run(main())
