"""``--allow-dr-api-access``."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from drum_litestar.errors import ModelLoadError
from support.servers.upstream import ok, upstream

CODE = """\
def load_model(code_dir):
    import datarobot
    return datarobot.client.get_client().endpoint

def score(data, model, **kwargs): ...
"""
PRESENT = importlib.util.find_spec("datarobot") is not None


@pytest.mark.skipif(PRESENT, reason="the package datarobot is installed")
def test_missing_package(serve_folder: Any) -> None:
    with pytest.raises(ModelLoadError, match=r"--allow-dr-api-access needs .*pip install datarobot$"):
        serve_folder({"custom.py": CODE}, allow_dr_api_access=True, webserver="http://127.0.0.1:1", api_token="t")


@pytest.mark.skipif(not PRESENT, reason="needs the package datarobot")
@pytest.mark.filterwarnings("ignore")  # of that package
def test_the_client_exists_before_the_model_loads(serve_folder: Any) -> None:
    with upstream() as up:
        up.answer = ok(b'{"major": 2, "minor": 40, "versionString": "2.40.0"}', "Content-Type: application/json")
        serve_folder({"custom.py": CODE}, allow_dr_api_access=True, webserver=up.url, api_token="t")
        assert up.seen[0].target == "/api/v2/version/"
        assert up.seen[0].header("Authorization") == ["Token t"]
