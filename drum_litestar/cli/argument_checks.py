"""Checks across options, with DRUM's texts (contract, 1.4), printed on stdout, followed by the help as in DRUM."""

from __future__ import annotations

import argparse
from urllib.parse import urlparse

from drum_litestar.errors import StartupError

ONE_LABEL = (
    "\nError - for binary classification case, both positive and negative class labels have to be provided. "
    "\nSee --help option for more information"
)
NO_DOCKER = (
    "--docker is not supported by drum-litestar. Use DRUM's own command, which builds and runs the container: "
    "drum server --docker ..."
)


class Refusal(SystemExit):
    """Exit code 1; ``text`` has been printed."""

    def __init__(self, text: str) -> None:
        super().__init__(1)
        self.text = text.strip()


def check_arguments(args: argparse.Namespace) -> None:
    """Raise SystemExit or StartupError for options that exclude or need each other."""
    _check_labels(args)
    _check_container(args)
    if args.production and not args.max_workers:
        _refuse("Production mode requires a non-zero number of workers [--max-workers > 0].")
    _check_monitoring(args)
    _check_triton(args)
    for option, value in (("--query", args.query), ("--content-type", args.content_type)):
        # Without --target-type the metadata file decides; the values are unused in any case.
        if value is not None and args.target_type not in (None, "unstructured"):
            raise StartupError(f"{option} argument can be used only with --target-type unstructured")


def _check_labels(args: argparse.Namespace) -> None:
    labels = {"--positive-class-label": args.positive_class_label, "--negative-class-label": args.negative_class_label}
    given = [option for option, label in labels.items() if label is not None]
    if len(given) == 1:
        args.parser.error(f"argument {given[0]}: {ONE_LABEL}")


def _check_container(args: argparse.Namespace) -> None:
    if args.docker:
        raise StartupError(NO_DOCKER)
    if args.skip_deps_install:
        _refuse("Argument '--skip-deps-install' can only be used together with '--docker'.")


def _check_monitoring(args: argparse.Namespace) -> None:
    if args.monitor and args.target_type == "unstructured":
        _refuse("Error: MLOps monitoring can not be used in unstructured mode.")
    if args.monitor_embedded and args.target_type != "unstructured":
        _refuse("Error: MLOps embedded monitoring is supported for unstructured modes only.")
    if args.monitor or args.monitor_embedded:
        rest = ("--monitor-settings",) if args.monitor else ("--webserver", "--api-token")
        if missing := _missing(args, "--model-id", "--deployment-id", *rest):
            _refuse(
                "\n\nError: MLOps Monitoring requires all monitoring options to be present.\n"
                f"Note: The following MLOps monitoring option(s) is/are missing:\n{missing}\n\n\n"
                "These options can also be obtained via environment variables\n\n",
                args.parser,
            )
    if args.allow_dr_api_access and (missing := _missing(args, "--webserver", "--api-token")):
        _refuse(
            "\n\nError: DataRobot APIs access requires certain option(s) that are missing.\n"
            f"Missing options:\n{missing}\n\n\n"
            "These options can also be obtained via environment variables.\n\n",
            args.parser,
        )


def _check_triton(args: argparse.Namespace) -> None:
    url = urlparse(args.triton_host)
    if not (url.scheme and url.netloc):
        _refuse("Error: Triton Host URL must contain scheme and netloc", args.parser)
    problem = "Error: Triton HTTP port or GRPc port configuration is incorrect. "
    ports = (args.triton_http_port, args.triton_grpc_port)
    if not all(port.isdecimal() and int(port) > 0 for port in ports):
        _refuse(f"{problem}Value should be a positive integer.\n\n", args.parser)
    if ports[0] == ports[1]:  # as text, like DRUM
        _refuse(f"{problem}Ports can't be the same.\n\n", args.parser)


def _missing(args: argparse.Namespace, *options: str) -> str:
    values = ((option, getattr(args, option[2:].replace("-", "_"))) for option in options)
    return "\n".join(f"  {option}" for option, value in values if not value)


def _refuse(text: str, help_of: argparse.ArgumentParser | None = None) -> None:
    print(text)
    if help_of is not None:
        help_of.print_help()
    raise Refusal(text)
