"""An unstructured model; the query's ``do``, a Python expression, says what to return."""

import sys


def fail(error):
    raise error


def http_error(*arguments):
    from datarobot_drum import CustomHTTPError

    raise CustomHTTPError(*arguments)


def load_model(code_dir):
    return "the model"


def score_unstructured(model, data, query, headers, **kwargs):
    expression = query.get("do", "repr((type(data).__name__, data, kwargs))")
    local = {"data": data, "model": model, "query": query, "headers": headers, "kwargs": kwargs}
    return eval(expression, {"fail": fail, "http_error": http_error, "sys": sys, **local})
