"""A transform hook of two arguments; column ``do``, a Python expression, says what to return."""

import numpy as np
import pandas as pd


def fail(error):
    raise error


def load_model(code_dir):
    return "the model"


def transform(data, model):
    expression = data["do"].iloc[0] if "do" in data.columns else "data"
    return eval(expression, {"np": np, "pd": pd, "data": data, "fail": fail})
