"""Every error of the command line names what is wrong and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from drum_litestar.cli.main import COMMANDS, main


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("server --adress h:1", "server: error: unknown option --adress; did you mean --address?"),
        ("server -cd . --adress=h:1", "server: error: unknown option --adress; did you mean --address?"),
        ("server --max-worker 3 --zzz", "server: error: unknown option --zzz; drum-litestar server --help lists the"),
        ("check --lod", "check: error: unknown option --lod; did you mean --load?"),
        ("predict . x.csv --ouput y", "predict: error: unknown option --ouput; did you mean --output?"),
        (
            "compare --baselin http://h --candidat http://h --corpuss x",
            "unknown option --corpuss; did you mean --corpus",
        ),
        ("settings --jsn", "settings: error: unknown option --jsn; did you mean --json?"),
        ("new model x --taget-type y", "new model: error: unknown option --taget-type; did you mean --target-type?"),
        ("new modle x", "new: error: unknown command 'modle'; did you mean model?"),
        ("sevrer", "drum-litestar: error: unknown command 'sevrer'; did you mean server?"),
        ("serve --code-dir .", "drum-litestar: error: unknown command 'serve'; did you mean server?"),
        ("server --port 5", "server: error: unknown option --port; did you mean --address HOST:5?"),
        ("check --port=5", "check: error: unknown option --port; did you mean --address HOST:5?"),
        ("server --port", "server: error: unknown option --port; did you mean --address HOST:PORT?"),
        ("qqq", "drum-litestar: error: unknown command 'qqq'; drum-litestar --help lists the commands"),
        ("--versoin", "drum-litestar: error: unknown option --versoin; did you mean --version?"),
    ],
)
def test_unknown(words: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 2
    error = capsys.readouterr().err
    assert text in error
    assert "Traceback" not in error


def test_prefixes_and_values_are_not_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--addr", "h:1", "--desc"]) == 0
    assert main(["check", "--code-dir", str(tmp_path / "no"), "--json"]) == 2
    assert "is not a directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        ("predict {dir} {dir}/no.csv", ["argument FILE", "no.csv does not exist"]),
        ("predict {dir}/no {dir}/x.csv", ["argument FOLDER", "/no is not a directory"]),
        ("predict {dir} {dir}/empty.csv", ["empty.csv is empty"]),
        ("predict {dir} {dir}/x.csv --chunk-rows 0", ["argument --chunk-rows", "must be > 0"]),
        ("predict {dir} {dir}/x.csv --whole --chunk-rows 5", ["--whole and --chunk-rows exclude each other"]),
        ("predict {dir} {dir}/x.csv --target-type reg", ["argument --target-type", "'regression'"]),
        ("predict {dir}", ["the following arguments are required: FILE"]),
        ("new model {dir} --target-type regression", ["is not empty", "name a new folder"]),
        ("new model {dir}/x.csv --target-type regression", ["cannot be written"]),
        ("new model {dir}/y", ["required: --target-type"]),
        ("new model {dir}/y --target-type number", ["argument --target-type", "'regression'"]),
        ("new", ["required: model"]),
        ("check --load", ["--load needs the model folder", "--code-dir"]),
        ("check {dir}", ["check: error: unrecognized arguments: {dir}; did you mean --code-dir {dir}?"]),
        ("server {dir}", ["server: error: unrecognized arguments: {dir}; did you mean --code-dir {dir}?"]),
        ("server {dir} -cd {dir} --address h:1", ["error: unrecognized arguments: {dir}\n"]),
        ("check {dir}/no", ["error: unrecognized arguments: {dir}/no\n"]),
        ("check --row {dir}/x.csv", ["--row needs --load"]),
        ("check --load --row {dir}/no.csv", ["argument --row", "does not exist"]),
    ],
)
def test_errors_name_the_option_and_the_remedy(
    words: str, texts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n")
    (tmp_path / "empty.csv").touch()
    assert main(words.format(dir=tmp_path).split()) == 2
    error = capsys.readouterr().err
    for text in texts:
        assert text.format(dir=tmp_path) in error
    assert "Traceback" not in error


@pytest.mark.parametrize("command", [*(command.name for command in COMMANDS), "new model", ""])
def test_help_ends_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--help"]) == 0
    _, heading, examples = capsys.readouterr().out.partition("\nexamples:\n")
    assert heading
    assert f"drum-litestar {command.partition(' ')[0]}".rstrip() in examples
