"""CustomTask classes."""

from __future__ import annotations

from pathlib import Path

from support.zoo.artifacts import YES_NO
from support.zoo.registry import copy_hooks, folder


@folder("task_regression", "regression")
def task_regression(path: Path) -> None:
    copy_hooks("tasks_regression", path)


@folder("task_binary", "binary", *YES_NO)
def task_binary(path: Path) -> None:
    copy_hooks("tasks_binary", path)


@folder("task_transform", "transform")
def task_transform(path: Path) -> None:
    copy_hooks("tasks_transform", path)
