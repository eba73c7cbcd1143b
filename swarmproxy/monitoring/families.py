"""Metrics with one label."""

from collections.abc import Mapping
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

Family = TypeVar("Family", CounterMetricFamily, GaugeMetricFamily)


def gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    """Return a gauge for each of what may stand in `label`."""
    return _filled(GaugeMetricFamily(name, text, labels=(label,)), values)


def counters(name: str, text: str, label: str, values: Mapping[str, float]) -> CounterMetricFamily:
    """Return a counter for each of what may stand in `label`."""
    return _filled(CounterMetricFamily(name, text, labels=(label,)), values)


def _filled(metric: Family, values: Mapping[str, float]) -> Family:
    for key, value in values.items():
        metric.add_metric((key,), value)
    return metric
