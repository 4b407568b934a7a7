"""An unstructured hook written as a coroutine. Calls with the body ``meet N`` are answered once N of them are there;
``exhaust`` leaves the worker no descriptors."""

import asyncio
import os
import resource


class Model:
    def __init__(self):
        self.present = 0
        self.complete = asyncio.Event()

    def __str__(self):
        return "the model"

    async def meet(self, number):
        self.present += 1
        if self.present == number:
            self.complete.set()
        await self.complete.wait()

    def exhaust(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (os.dup(0) + 1, hard))


async def load_model(code_dir):
    return Model()


async def score_unstructured(model, data, **kwargs):
    word, _, number = data.partition(" ")
    if word == "meet":
        await model.meet(int(number))
    if word == "exhaust":
        model.exhaust()
    await asyncio.sleep(0)
    return f"{model}: {data}"
