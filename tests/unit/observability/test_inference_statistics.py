"""Statistics of the Open Inference Protocol."""

from __future__ import annotations

from drum_litestar.observability.metrics.inference_statistics import InferenceStatistics


def test_the_parts_of_a_computation_have_the_same_count() -> None:
    """NVIDIA's load generator ends otherwise."""
    statistics = InferenceStatistics()
    statistics.compute.add(0.002)
    statistics.answered(200, 0.003)
    stats = statistics.report()["inference_stats"]
    assert [stats[f"compute_{part}"]["count"] for part in ("input", "infer", "output")] == [1, 1, 1]
    assert [stats[f"compute_{part}"]["ns"] for part in ("input", "infer", "output")] == [0, 2_000_000, 0]
