"""An unstructured hook written as a coroutine. Calls with the body ``meet N`` are answered once N of them are there."""

import asyncio


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


async def load_model(code_dir):
    return Model()


async def score_unstructured(model, data, **kwargs):
    word, _, number = data.partition(" ")
    if word == "meet":
        await model.meet(int(number))
    await asyncio.sleep(0)
    return f"{model}: {data}"
