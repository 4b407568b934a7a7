"""A picklable description of the predictor to build, carried from the command line into each model worker."""

from __future__ import annotations

from typing import Literal

import msgspec

from drum_litestar.predictors.protocol import Predictor, TargetType


class PredictorSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Resolved options of one model folder. Holds only scalars: it is sent to a worker before anything is imported."""

    kind: Literal["native", "drum"] = "native"
    kind_reason: str = ""
    """Why this kind was chosen, for the log."""
    code_dir: str
    """Real path of the model folder."""
    target_type: TargetType | None = None
    """From ``--target-type``/``TARGET_TYPE``; None leaves it to ``model-metadata.yaml``."""
    positive_class_label: str | None = None
    negative_class_label: str | None = None
    class_labels: tuple[str, ...] | None = None
    """From ``--class-labels`` or the labels file, in the order given."""
    target_name: str | None = None
    """``TARGET_NAME``: required by text targets (contract, 4.8)."""
    language: str | None = None
    deployment_config: str | None = None
    user_secrets_mount_path: str | None = None
    user_secrets_prefix: str | None = None
    single_output_is: Literal["negative", "positive"] = "negative"
    """Contract Q-1."""
    client_errors_4xx: bool = False
    """Contract Q-8."""
    moderations_optional: bool = False
    """Contract Q-14."""
    show_stacktrace: bool = False
    llm_id: str | None = None
    """Runtime parameter ``LLM_ID`` (contract, 3.11)."""
    monitor: bool = False
    monitor_embedded: bool = False
    deployment_id: str | None = None
    model_id: str | None = None
    monitor_settings: str | None = None
    webserver: str | None = None
    api_token: str | None = None
    allow_dr_api_access: bool = False
    lazy_loading_file: str | None = None
    """YAML form of ``MLOPS_LAZY_LOADING_DATA`` (contract, 4.14)."""
    gpu_predictor: str | None = None
    sidecar: bool = False
    triton_host: str = "http://localhost"
    triton_http_port: str = "8000"
    triton_grpc_port: str = "8001"
    argv: tuple[str, ...] = ()
    """The user's command line, kept as ``sys.argv`` for user code."""

    def build(self) -> Predictor:
        """The predictor, not yet loaded. Imports its implementation only here, in the process that runs it."""
        if self.kind == "drum":
            from drum_litestar.predictors.drum.predictor import DrumPredictor

            return DrumPredictor(self)
        from drum_litestar.predictors.native.predictor import NativePredictor

        return NativePredictor(self)
