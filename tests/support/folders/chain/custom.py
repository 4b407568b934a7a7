"""Every structured hook in a row, each told by a column (``read``, ``transform``, ``score``, ``post``) what to do."""

import io

import numpy as np
import pandas as pd


def fail(error):
    raise error


def http_error(*arguments):
    from datarobot_drum import CustomHTTPError

    raise CustomHTTPError(*arguments)


def told(expressions, stage, default, **local):
    if stage not in expressions:
        return default
    return eval(expressions[stage], {"np": np, "pd": pd, "fail": fail, "http_error": http_error, **local})


class Model:
    """Carries the request's expressions to the hook that does not see the data."""

    def __init__(self):
        self.expressions = {}


def load_model(code_dir):
    return Model()


def read_input_data(input_binary_data):
    data = pd.read_csv(io.BytesIO(input_binary_data), sep=";")
    first = data.iloc[0].to_dict() if len(data) else {}
    return told(first, "read", data, data=data, binary=input_binary_data)


def transform(data, model):
    model.expressions = data.iloc[0].to_dict() if len(data) else {}
    return told(model.expressions, "transform", data, data=data)


def score(data, model, **kwargs):
    default = pd.DataFrame({"any name": data["value"]})
    return told(model.expressions, "score", default, data=data, kwargs=kwargs)


def post_process(predictions, model):
    return told(model.expressions, "post", predictions, predictions=predictions)
