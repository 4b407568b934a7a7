"""What the client programs share. Each is run as ``PROGRAM HTTP_URL GRPC_ADDRESS MODEL`` and prints a JSON object: each
call with ``ok`` or what went wrong."""

import inspect
import json
import urllib.request

ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
FLAT = [value for row in ROWS for value in row]


def expected(url, model):
    """Name, shape and flat values of the output, by the standard library alone."""
    tensor = {"name": input_name(url, model), "datatype": "FP64", "shape": [2, 4], "data": FLAT}
    request = urllib.request.Request(
        f"{url}/v2/models/{model}/infer",
        json.dumps({"inputs": [tensor]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        (output,) = json.load(answer)["outputs"]
    return output


def input_name(url, model):
    with urllib.request.urlopen(f"{url}/v2/models/{model}") as answer:
        return json.load(answer)["inputs"][0]["name"]


def check(condition, text="another answer"):
    if not condition:
        raise AssertionError(text)


def close(values, output):
    check(len(values) == len(output["data"]), f"{len(values)} values")
    check(all(abs(one - other) < 1e-9 for one, other in zip(values, output["data"], strict=True)), f"{values}")


async def _outcome(call):
    try:
        result = call()
        if inspect.isawaitable(result):
            result = await result
        check(result is not False, "False")
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    return "ok"


async def report(calls):
    print(json.dumps({name: await _outcome(call) for name, call in calls.items()}))
