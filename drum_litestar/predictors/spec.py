"""The description of the predictor to build, sent from the launcher to each model worker."""

from __future__ import annotations

from typing import Any, Dict, Literal, Optional, Tuple, Union

import msgspec

from drum_litestar.predictors.protocol import TargetType


class PredictorSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Resolved options of one model folder. Only scalars: a worker decodes it before it imports anything heavy."""

    kind: Literal["native", "drum"] = "native"
    kind_reason: str = ""
    """Why this kind was chosen, for the log."""
    code_dir: str
    """Real path of the model folder."""
    target_type: Optional[TargetType] = None
    """From ``--target-type``/``TARGET_TYPE``; None leaves it to ``model-metadata.yaml``."""
    positive_class_label: Optional[str] = None
    negative_class_label: Optional[str] = None
    class_labels: Optional[Tuple[str, ...]] = None
    """From ``--class-labels`` or the labels file, in the order given."""
    target_name: Optional[str] = None
    """``TARGET_NAME``: required by text targets (contract, 4.8)."""
    language: Optional[str] = None
    deployment_config: Optional[str] = None
    user_secrets_mount_path: Optional[str] = None
    user_secrets_prefix: Optional[str] = None
    single_output_is: Literal["negative", "positive"] = "negative"
    """Contract Q-1."""
    client_errors_4xx: bool = False
    """Contract Q-8."""
    moderations_optional: bool = False
    """Contract Q-14."""
    model_name: str = "model"
    """In the Open Inference Protocol (``DRUM_MODEL_NAME``)."""
    shortcuts: bool = True
    """Take the shortcuts, which give the same bytes faster (``DRUM_SHORTCUTS``)."""
    max_table_size: Optional[int] = None
    """Most bytes of a table in Arrow or Parquet when it is decompressed (``DRUM_FASTAPI_MAX_UPLOAD_SIZE``)."""
    show_stacktrace: bool = False
    llm_id: Optional[str] = None
    """Runtime parameter ``LLM_ID`` (contract, 3.11)."""
    prompt_column: Optional[str] = None
    """Runtime parameter ``PROMPT_COLUMN_NAME``: the column of prompts, where it is not ``promptText``."""
    monitor: bool = False
    monitor_embedded: bool = False
    deployment_id: Optional[str] = None
    model_id: Optional[str] = None
    monitor_settings: Optional[str] = None
    webserver: Optional[str] = None
    api_token: Optional[str] = None
    allow_dr_api_access: bool = False
    lazy_loading_file: Optional[str] = None
    """YAML form of ``MLOPS_LAZY_LOADING_DATA`` (contract, 4.14)."""
    gpu_predictor: Optional[str] = None
    sidecar: bool = False
    triton_host: str = "http://localhost"
    triton_http_port: str = "8000"
    triton_grpc_port: str = "8001"
    metadata: Union[Dict[str, Any], msgspec.UnsetType, None] = msgspec.UNSET
    """``model-metadata.yaml`` as ``read_metadata`` returns it; unset lets the predictor read the file."""
    argv: Tuple[str, ...] = ()
    """The user's command line, kept as ``sys.argv`` for user code."""
