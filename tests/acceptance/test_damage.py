"""The database is damaged below the running agent: producers notice nothing, all of it arrives."""

import random

from tests.ledgers import balance, payload
from tests.world import World, wait_until

PAGE = 4096


def test_damage_below_a_running_agent_interrupts_nobody() -> None:
    with World() as world:
        world.start()
        for backend in world.served:
            world.request("POST", f"/v1/backends/{backend}/pause", admin=True)
        accepted = [
            (backend, f"before-{number:04d}") for number in range(40) for backend in world.served
        ]
        for backend, mark in accepted:
            assert world.put(backend, payload(backend, mark))[0] == 202
        world.stop()  # so that all of it lies in the file
        world.start()

        roll = random.Random("damage")
        with (world.home / "state" / "outbox.db").open("r+b") as file:
            # Indexes, most of them: the rows below can all be saved.
            for page in (3, 5, 7, 9, 11):
                file.seek((page - 1) * PAGE)
                file.write(roll.randbytes(PAGE))
        for number in range(40):
            for backend in world.served:
                accepted.append((backend, f"after-{number:04d}"))
                assert world.put(backend, payload(backend, f"after-{number:04d}"))[0] == 202
        for backend in world.served:
            world.request("POST", f"/v1/backends/{backend}/resume", admin=True)

        wait_until(lambda: balance(world, accepted).exact, 40, world.status)
        told = world.status()["salvage"]
        assert (told["lost"], told["running"]) == (0, False)
        assert world.request("POST", "/v1/salvage/seen", admin=True) == (200, {"seen": 1})
        assert world.status()["salvage"] is None
        assert world.stop() == 0
