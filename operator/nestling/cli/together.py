"""Several requests at once, as one: all answers in order, or the first error with nothing left running."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def together(work: Iterable[Coroutine[Any, Any, T]], *, at_once: int = 0) -> list[T]:
    """Await all of `work`, at most `at_once` at a time (0: all). Raises the first error.

    Unlike with `asyncio.gather`, the others have ended when it raises: nobody uses a client that is closed.
    """
    slots = asyncio.Semaphore(at_once) if at_once else None

    async def one(item: Coroutine[Any, Any, T]) -> T:
        if slots is None:
            return await item
        async with slots:
            return await item

    items = list(work)
    tasks = [asyncio.ensure_future(one(item)) for item in items]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for item in items:
            item.close()  # one that never got its turn would complain
