"""Arguments from environment variables (contract, 1.3): a variable replaces an option that the command line lacks.

Presence is decided on parsed options, whatever their spelling: ``-cd``, ``--opt=value`` and unique prefixes count
(contract, section 8, Q-20).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from drum_litestar.errors import UsageError
from drum_litestar.settings.boolean_words import boolean_word

TEXTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("--target-type", ("TARGET_TYPE",)),
    ("--code-dir", ("CODE_DIR",)),
    ("--negative-class-label", ("NEGATIVE_CLASS_LABEL",)),
    ("--positive-class-label", ("POSITIVE_CLASS_LABEL",)),
    ("--class-labels-file", ("CLASS_LABELS_FILE",)),
    ("--class-labels", ("CLASS_LABELS",)),
    ("--address", ("ADDRESS",)),
    ("--max-workers", ("MAX_WORKERS",)),
    ("--deployment-config", ("DEPLOYMENT_CONFIG",)),
    ("--user-secrets-prefix", ("USER_SECRETS_PREFIX",)),
    ("--user-secrets-mount-path", ("USER_SECRETS_MOUNT_PATH",)),
    ("--deployment-id", ("DEPLOYMENT_ID", "MLOPS_DEPLOYMENT_ID")),
    ("--model-id", ("MODEL_ID", "MLOPS_MODEL_ID")),
    ("--monitor-settings", ("MONITOR_SETTINGS",)),
    ("--webserver", ("EXTERNAL_WEB_SERVER_URL",)),
    ("--api-token", ("API_TOKEN",)),
    ("--triton-host", ("TRITON_HOST",)),
    ("--triton-http-port", ("TRITON_HTTP_PORT",)),
    ("--triton-grpc-port", ("TRITON_GRPC_PORT",)),
    ("--runtime-params-file", ("RUNTIME_PARAMS_FILE",)),
    ("--lazy-loading-file", ("LAZY_LOADING_FILE",)),
)
"""Each option and the variables that replace it, in DRUM's order."""

FLAGS = (
    ("--with-error-server", "WITH_ERROR_SERVER"),
    ("--show-stacktrace", "SHOW_STACKTRACE"),
    ("--production", "PRODUCTION"),
    ("--monitor", "MONITOR"),
    ("--monitor-embedded", "MLOPS_REPORTING_FROM_UNSTRUCTURED_MODELS"),
    ("--allow-dr-api-access", "ALLOW_DR_API_ACCESS_FOR_ALL_CUSTOM_MODELS"),
)

_ABSENT = object()


def given_options(parser: argparse.ArgumentParser, argv: Sequence[str], options: Sequence[str]) -> set[str]:
    """Find which of ``options`` (long names) are in ``argv``.

    ``parser`` must have no required option; it reports invalid values.
    """
    dests = {option: option.lstrip("-").replace("-", "_") for option in options}
    # argparse keeps attributes that exist, so only those of given options change.
    found, _ = parser.parse_known_args(list(argv), argparse.Namespace(**dict.fromkeys(dests.values(), _ABSENT)))
    return {option for option, dest in dests.items() if getattr(found, dest) is not _ABSENT}


def environment_tokens(
    parser: argparse.ArgumentParser, argv: Sequence[str], environ: Mapping[str, str], options: Sequence[str]
) -> list[str]:
    """Make the tokens to append to ``argv`` for those of ``options`` that it lacks and a variable sets.

    Raises UsageError for a boolean variable that holds no boolean.
    """
    given = given_options(parser, argv, options)
    tokens: list[str] = []
    for option, variables in TEXTS:
        value = next((environ[name] for name in variables if environ.get(name)), None)
        if value is None or option in given or option not in options:
            continue
        if option == "--class-labels":
            # The file has precedence, also when a variable names it.
            file_given = "--class-labels-file" in given or environ.get("CLASS_LABELS_FILE")
            tokens += [] if file_given else [option, *value.split()]
        else:
            tokens.append(f"{option}={value}")
    for option, name in FLAGS:
        if option in options and option not in given and environ.get(name):
            flag = boolean_word(environ[name])
            if flag is None:
                raise UsageError(
                    f"environment variable {name}: value can't be converted to Bool: '{environ[name]}' "
                    "(allowed: true, false)"
                )
            tokens += [option] if flag else []
    return tokens
