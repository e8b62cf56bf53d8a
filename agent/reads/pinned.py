"""Pins: questions whose answers are kept at hand. Their names, their words, and how they are."""

import asyncio
from typing import Any

from adapters.reading import Misasked, Question
from agent.reads.answer import iso
from agent.reads.engine import Engine
from storage.pins import Pin, Pins


async def pinned(engine: Engine, pins: Pins, backend: str, question: Question) -> tuple[Pin, bool]:
    """Pin a question; False: it was pinned already. Raises Misasked."""
    engine.plan(backend, question)
    pin = Pin(backend, question.resource, question.parameters, engine.now())
    new = await asyncio.to_thread(pins.add, pin)
    return pin, new


def pin_told(pin: Pin) -> dict[str, Any]:
    """A pin as JSON."""
    return {
        "id": pin.id,
        "backend": pin.backend,
        "resource": pin.resource,
        "parameters": [list(one) for one in pin.parameters],
        "pinned_at": iso(pin.pinned_at),
    }


async def pin_with_answer(engine: Engine, pin: Pin) -> dict[str, Any]:
    """A pin, and how its kept answer is; `fetched_at` null: there is none yet."""
    told = {**pin_told(pin), "fetched_at": None, "settled": False, "complete": False}
    try:
        label = await engine.label(pin.backend, Question(pin.resource, pin.parameters))
    except Misasked as wrong:
        return {**told, "wrong": wrong.detail}
    if label is None:
        return told
    how = {"settled": label.settled, "complete": label.complete}
    return {**told, "fetched_at": iso(label.fetched_at), **how}
