"""A score hook that does what the first row's column ``do``, a Python expression, says."""

import os
import sys

import numpy as np
import pandas as pd

NAMES = {"np": np, "os": os, "pd": pd, "sys": sys}


def fail(error):
    raise error


def http_error(*arguments):
    from datarobot_drum import CustomHTTPError

    raise CustomHTTPError(*arguments)


def load_model(code_dir):
    return "the model"


def score(data, model, **kwargs):
    expression = data["do"].iloc[0] if len(data) else "pd.DataFrame({'Predictions': []})"
    local = {"data": data, "model": model, "kwargs": kwargs, "fail": fail, "http_error": http_error}
    return eval(expression, {**NAMES, **local})
