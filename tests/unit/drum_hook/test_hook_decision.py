from __future__ import annotations

import json
from pathlib import Path

import pytest

from drum_litestar.documentation import MIGRATING, SWITCHING
from drum_litestar.drum_hook.decision import DRUM_SERVER_TYPES, OUR_SERVER_TYPES, Decision, decide, hook_enabled, remedy

VARIABLE = "MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE"
DEFINED = "runtimeParameterDefinitions:\n  - {fieldName: OTHER, type: string}\n  - {fieldName: DRUM_SERVER_TYPE"


def platform(payload: object) -> dict[str, str]:
    return {VARIABLE: json.dumps({"type": "string", "payload": payload})}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "custom.py").touch()
    return folder


def server(model: Path, *options: str, env: dict[str, str] | None = None) -> bool:
    return decide(["server", "-cd", str(model), *options], env or {}).litestar


@pytest.mark.parametrize("name", [*sorted(OUR_SERVER_TYPES), "LiteStar", " uvicorn "])
def test_our_names_in_both_forms(model: Path, name: str) -> None:
    assert server(model, env=platform(name))
    assert server(model, env={VARIABLE: name})
    assert server(model, env={VARIABLE: json.dumps(name)})
    assert server(model, env={"DRUM_SERVER_TYPE": name})


@pytest.mark.parametrize("payload", ["gunicorn", "werkzeug", "flask", "bogus", "", None, True, 3])
def test_all_other_values_are_drums(model: Path, payload: object) -> None:
    assert not server(model, env=platform(payload))


@pytest.mark.parametrize(("bare", "wanted"), [("gunicorn", "gunicorn"), ("bogus", "bogus"), ("", "gunicorn")])
def test_a_bare_word_is_not_for_drum(model: Path, bare: str, wanted: str) -> None:
    """DRUM's own server reads the variable as JSON; anything else ends in a traceback."""
    choice = decide(["server", "-cd", str(model)], {VARIABLE: bare})
    assert choice == Decision(
        litestar=False,
        notice=f"WARNING: DRUM's own server takes {VARIABLE} as JSON only and refuses '{bare}': "
        f'set it to \'{{"type":"string","payload":"{wanted}"}}\'',
    )
    assert decide(["score"], {VARIABLE: bare}) == decide(["server"], platform(wanted)) == Decision(litestar=False)


def test_a_bare_word_that_the_file_replaces_is_ignored(model: Path) -> None:
    (model / "model-metadata.yaml").write_text(f"{DEFINED}, type: string}}\n")
    (model / "values.yaml").write_text("DRUM_SERVER_TYPE: gunicorn\n")
    arguments = ["server", "-cd", str(model), "--runtime-params-file", str(model / "values.yaml")]
    assert decide(arguments, {VARIABLE: "gunicorn"}) == Decision(litestar=False)


def test_parameter_beats_plain_variable(model: Path) -> None:
    assert not server(model, env={**platform("gunicorn"), "DRUM_SERVER_TYPE": "litestar"})
    assert server(model, env={**platform(None), "DRUM_SERVER_TYPE": "litestar"})


@pytest.mark.parametrize("command", [[], ["score"], ["fit"], ["push"], ["validation"], ["perf-test"], ["new"], ["-h"]])
def test_other_commands_are_drums(command: list[str]) -> None:
    assert decide([*command, "-cd", "."], platform("litestar")) == Decision(litestar=False)
    assert decide(command, platform("litestar")) == Decision(litestar=False)


def test_nothing_asked_for(model: Path) -> None:
    assert not server(model)
    assert not decide(["server"], {}).litestar


@pytest.mark.parametrize("words", [["--docker", "image"], ["--docker=image"], ["--docker"], ["--dock", "image"]])
def test_containers_are_drums(model: Path, words: list[str]) -> None:
    assert not server(model, *words, env=platform("litestar"))


@pytest.mark.parametrize(
    "words", [["-cd"], ["-h"], ["--runtime-params-file"], ["--bogus", "1"], ["--", "x"], ["-cd", "/no/such/folder"]]
)
def test_bad_arguments_do_not_hide_the_wish(words: list[str]) -> None:
    """The chosen server reports their errors."""
    assert decide(["server", *words], platform("litestar")) == Decision(litestar=True)


class TestValuesFile:
    @pytest.fixture
    def values(self, tmp_path: Path) -> Path:
        path = tmp_path / "values.yaml"
        path.write_text("DRUM_SERVER_TYPE: litestar\n")
        return path

    @pytest.fixture
    def declared(self, model: Path) -> None:
        (model / "model-metadata.yaml").write_text(f"{DEFINED}, type: string}}\n")

    @pytest.mark.usefixtures("declared")
    def test_overwrites_the_variable(self, model: Path, values: Path) -> None:
        assert server(model, "--runtime-params-file", str(values))
        assert server(model, f"--runtime-params-file={values}", env=platform("werkzeug"))
        assert decide(["server"], {"CODE_DIR": str(model), "RUNTIME_PARAMS_FILE": str(values)}).litestar
        values.write_text("DRUM_SERVER_TYPE: werkzeug\n")
        assert not server(model, "--runtime-params-file", str(values), env=platform("litestar"))

    @pytest.mark.usefixtures("declared")
    def test_without_a_value_overwrites_with_null(self, model: Path, values: Path) -> None:
        values.write_text("OTHER: x\n")
        assert not server(model, "--runtime-params-file", str(values), env=platform("litestar"))

    def test_undeclared_names_are_dropped(self, model: Path, values: Path) -> None:
        assert not server(model, "--runtime-params-file", str(values))
        values.write_text("DRUM_SERVER_TYPE: gunicorn\n")
        assert server(model, "--runtime-params-file", str(values), env=platform("litestar"))

    @pytest.mark.usefixtures("declared")
    @pytest.mark.parametrize("content", [None, b"", b"{", b"- 1\n", b"\xff\xfe"])
    def test_unreadable_file_counts_as_absent(self, model: Path, values: Path, content: bytes | None) -> None:
        values.unlink()
        if content is not None:
            values.write_bytes(content)
        assert server(model, "--runtime-params-file", str(values), env=platform("litestar"))
        assert not server(model, "--runtime-params-file", str(values))


def test_default_in_metadata(model: Path) -> None:
    metadata = model / "model-metadata.yaml"
    metadata.write_text(f"{DEFINED}, type: string, defaultValue: uvicorn}}\n")
    assert server(model)
    assert server(model, env=platform(None))
    assert not server(model, env=platform("gunicorn"))
    values = model / "values.yaml"
    values.write_text("OTHER: x\n")
    assert server(model, "--runtime-params-file", str(values), env=platform("gunicorn"))


@pytest.mark.parametrize("content", ["", "[]", "runtimeParameterDefinitions: 3", "{", f"{DEFINED}}}", "a: {b: [1"])
def test_odd_metadata_is_no_obstacle(model: Path, content: str) -> None:
    (model / "model-metadata.yaml").write_text(content)
    assert not server(model)
    assert server(model, env=platform("litestar"))


@pytest.mark.parametrize("text", ["{", '{"type": "string"}', '{"payload": "litestar"}', '{"type":"x","payload":"y"}'])
def test_unreadable_parameter_is_drums_with_a_warning(model: Path, text: str) -> None:
    choice = decide(["server", "-cd", str(model)], {VARIABLE: text})
    assert not choice.litestar
    assert choice.notice.startswith("WARNING: runtime parameter DRUM_SERVER_TYPE cannot be read, DRUM's own server ")
    assert decide(["server", "-cd", str(model)], {VARIABLE: text}, default=True) == choice


def test_flask_extension_is_drums_with_a_warning(model: Path) -> None:
    (model / "deep").mkdir()
    (model / "deep" / "custom_flask.py").touch()
    choice = decide(["server", "-cd", str(model)], platform("litestar"))
    assert not choice.litestar
    assert "custom_flask.py" in choice.notice
    assert MIGRATING in choice.notice
    assert decide(["server", "-cd", str(model)], {}, default=True) == choice
    assert decide(["server", "-cd", str(model)], {}) == Decision(litestar=False), "ours was not asked for"
    (model / "custom_litestar.py").touch()
    assert decide(["server", "-cd", str(model)], platform("litestar")) == Decision(litestar=True)


class TestDefault:
    """An environment whose default is this backend."""

    def choose(self, model: Path, *options: str, env: dict[str, str] | None = None) -> Decision:
        return decide(["server", "-cd", str(model), *options], env or {}, default=True)

    @pytest.mark.parametrize(
        "env", [{}, platform(None), {VARIABLE: '""'}, platform("litestar"), {"DRUM_SERVER_TYPE": ""}]
    )
    def test_serves_without_a_word(self, model: Path, env: dict[str, str]) -> None:
        assert self.choose(model, env=env) == Decision(litestar=True)

    @pytest.mark.parametrize("name", [*sorted(DRUM_SERVER_TYPES), "Gunicorn", " FLASK "])
    def test_drums_server_is_chosen_with_a_notice(self, model: Path, name: str) -> None:
        metadata, values = model / "model-metadata.yaml", model / "values.yaml"
        choices = [self.choose(model, env=env) for env in (platform(name), {"DRUM_SERVER_TYPE": name})]
        metadata.write_text(f"{DEFINED}, type: string, defaultValue: '{name}'}}\n")
        choices.append(self.choose(model))
        metadata.write_text(f"{DEFINED}, type: string}}\n")
        values.write_text(f"DRUM_SERVER_TYPE: '{name}'\n")
        choices.append(self.choose(model, "--runtime-params-file", str(values)))
        (choice,) = set(choices)
        assert not choice.litestar
        assert choice.notice.startswith(
            f"DEPRECATED: DRUM_SERVER_TYPE={name.strip().lower()} chooses DRUM's own server"
        )
        assert SWITCHING in choice.notice
        assert decide(["server", "-cd", str(model)], platform(name)) == Decision(litestar=False), (
            "not the default there"
        )

    @pytest.mark.parametrize("name", ["litestr", "True", "3"])
    def test_unknown_type_is_the_default_with_a_warning(self, model: Path, name: str) -> None:
        choice = self.choose(model, env={VARIABLE: name})
        assert choice.litestar
        assert choice.notice.startswith(f"WARNING: DRUM_SERVER_TYPE={name.lower()} is not known (known: ")

    @pytest.mark.parametrize("arguments", [["score"], ["push", "-cd", "."], [], ["server", "--docker", "image"]])
    def test_other_commands_are_drums(self, arguments: list[str]) -> None:
        assert decide(arguments, {}, default=True) == Decision(litestar=False)


class TestRemedy:
    """Hints for a DRUM that cannot be imported."""

    @pytest.mark.parametrize("env", [{}, platform("bogus"), {VARIABLE: "{"}, {VARIABLE: ""}])
    def test_names_the_variable(self, model: Path, env: dict[str, str]) -> None:
        text = remedy(["server", "-cd", str(model)], env)
        assert text.endswith(": set MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE=litestar")

    def test_names_the_file_that_replaces_the_variable(self, model: Path) -> None:
        values = model / "values.yaml"
        values.write_text("OTHER: x\n")
        arguments = ["server", "-cd", str(model), "--runtime-params-file", str(values)]
        assert remedy(arguments, {}).endswith("set MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE=litestar")
        (model / "model-metadata.yaml").write_text(f"{DEFINED}, type: string}}\n")
        assert remedy(arguments, {}).endswith(f"set DRUM_SERVER_TYPE: litestar in {values}")

    def test_flask_folder_is_migrated(self, model: Path) -> None:
        (model / "custom_flask.py").touch()
        assert f"migrate it ({MIGRATING})" in remedy(["server", "-cd", str(model)], {})

    @pytest.mark.parametrize("arguments", [[], ["score"], ["server", "--docker", "image"]])
    def test_nothing_for_other_commands(self, arguments: list[str]) -> None:
        assert remedy(arguments, {}) == ""

    def test_no_remedy_where_drums_server_is_chosen(self, model: Path) -> None:
        assert remedy(["server", "-cd", str(model)], platform("gunicorn")) == ""


@pytest.mark.parametrize(("text", "enabled"), [("0", False), ("False", False), (" off ", False), ("no", False)])
def test_switch_off(text: str, enabled: bool) -> None:
    assert hook_enabled({"DRUM_LITESTAR_HOOK": text}) is enabled


@pytest.mark.parametrize("text", ["1", "", "yes", "anything"])
def test_switch_on(text: str) -> None:
    assert hook_enabled({"DRUM_LITESTAR_HOOK": text})
    assert hook_enabled({})
