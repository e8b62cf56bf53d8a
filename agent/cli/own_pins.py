"""Pins without a running agent: this user's list, and this user's cache. Loads everything."""

import asyncio
from typing import Any

from agent.cli.alone import run
from agent.cli.endings import NO_INPUT, Ending
from agent.cli.inquiry import Inquiry
from agent.reads.making import Reading
from agent.reads.pinned import pin_told, pin_with_answer, pinned
from agent.reads.subject import question_of
from config.sources import Sources
from storage.pins import Pin


def add(found: Sources, inquiry: Inquiry) -> dict[str, Any]:
    """Pin a question; the pin as JSON. Raises Ending (65)."""

    async def work(reading: Reading) -> dict[str, Any]:
        question = question_of(reading.kinds, inquiry.backend, inquiry.resource, inquiry.parameters)
        pin, _ = await pinned(reading.engine, reading.pins, inquiry.backend, question)
        return await pin_with_answer(reading.engine, pin)

    return run(found, work)


def listed(found: Sources) -> dict[str, Any]:
    """All pins as JSON."""

    async def work(reading: Reading) -> dict[str, Any]:
        pins = await asyncio.to_thread(reading.pins.list)
        return {"pins": [await pin_with_answer(reading.engine, pin) for pin in pins]}

    return run(found, work)


def removed(found: Sources, id_: str) -> dict[str, Any]:
    """Unpin. Raises Ending (66)."""

    async def work(reading: Reading) -> dict[str, Any]:
        for pin in await asyncio.to_thread(reading.pins.list):
            if pin.id == id_:
                await asyncio.to_thread(reading.pins.remove, pin)
                return pin_told(pin)
        raise Ending(NO_INPUT, f"there is no pin {id_!r}")

    return run(found, work)


def refreshed(found: Sources) -> list[str]:
    """Ask for all of them again; what failed, in words."""
    failed = []

    def told(pin: Pin, why: str) -> None:
        if why:
            failed.append(f"{pin.id}: {why}")

    async def work(reading: Reading) -> None:
        await reading.refresher.refresh_all(told)

    run(found, work)
    return failed
