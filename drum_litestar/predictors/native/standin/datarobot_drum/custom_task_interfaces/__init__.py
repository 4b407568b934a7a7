"""Stand-in for the interfaces of custom tasks and their secrets (contract, 4.10, 4.12)."""

from .estimator_interfaces import (
    AnomalyEstimatorInterface,
    BinaryEstimatorInterface,
    MulticlassEstimatorInterface,
    RegressionEstimatorInterface,
)
from .transform_interface import TransformerInterface
from .user_secrets import (
    AdlsGen2OauthSecret,
    ApiTokenSecret,
    AzureSecret,
    AzureServicePrincipalSecret,
    BasicSecret,
    DatabricksAccessTokenAccountSecret,
    GCPSecret,
    OauthSecret,
    S3Secret,
    SnowflakeKeyPairUserAccountSecret,
    SnowflakeOauthUserAccountSecret,
    TableauAccessTokenSecret,
)

__all__ = [
    "AdlsGen2OauthSecret",
    "AnomalyEstimatorInterface",
    "ApiTokenSecret",
    "AzureSecret",
    "AzureServicePrincipalSecret",
    "BasicSecret",
    "BinaryEstimatorInterface",
    "DatabricksAccessTokenAccountSecret",
    "GCPSecret",
    "MulticlassEstimatorInterface",
    "OauthSecret",
    "RegressionEstimatorInterface",
    "S3Secret",
    "SnowflakeKeyPairUserAccountSecret",
    "SnowflakeOauthUserAccountSecret",
    "TableauAccessTokenSecret",
    "TransformerInterface",
]
