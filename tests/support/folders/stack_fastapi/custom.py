"""Sends each row as a form through a FastAPI application, whose answer is a Pydantic 1 model.

FastAPI reads the form with python-multipart, and runs the endpoint on one of anyio's threads.
"""

import asyncio
import json
import sys

import fastapi
import multipart
import pandas as pd
import pydantic

BOUNDARY = "a-row"

application = fastapi.FastAPI()
versions = {"fastapi": fastapi.__version__, "pydantic": pydantic.VERSION, "python-multipart": multipart.__version__}
print("custom.py uses " + ", ".join(f"{name} {version}" for name, version in versions.items()), file=sys.stderr)


class Answer(pydantic.BaseModel):
    prediction: float

    @pydantic.validator("prediction")  # Pydantic 1's own; deprecated in 2
    def is_finite(cls, value):  # noqa: N805 - a class method by its decorator
        if not -1e300 < value < 1e300:
            raise ValueError("the prediction is not finite")
        return value


@application.post("/weigh", response_model=Answer)
def weigh(a: float = fastapi.Form(), b: float = fastapi.Form()):
    return Answer(prediction=2.0 * a - 0.5 * b)


async def ask(row):
    """One request to the application: no server, the ASGI interface itself."""
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{row[key]}\r\n' for key in row]
    body = ("".join(parts) + f"--{BOUNDARY}--\r\n").encode()
    headers = [(b"content-type", f"multipart/form-data; boundary={BOUNDARY}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/weigh", "query_string": b"", "headers": headers}
    sent = []

    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        sent.append(message)

    await application(scope, receive, send)
    text = b"".join(message.get("body", b"") for message in sent)
    if sent[0]["status"] != 200:
        raise RuntimeError(text.decode())
    return json.loads(text)["prediction"]


def load_model(code_dir):
    return application


def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": [asyncio.run(ask(row)) for row in data.to_dict("records")]})
