"""What log-batch tells of a wrong point, param or tag: where in the request it was."""

import pytest

from runstone_gateway.routes_metrics import place

POINTS = [
    {"key": "a"},
    {"key": "b#d", "model_id": "m-1"},
    {"key": "a", "model_id": ""},
    {"key": "c", "modelId": "m-2"},
]


@pytest.mark.parametrize(
    ("field", "parameter"),
    [
        ("series[0].key", "metrics[0].name"),
        ("series[1].key", "metrics[1].name"),
        ("series[2].key", "metrics[3].name"),
        ("series[0].timestamps_ms[1]", "metrics[2].timestamp"),
        ("model_metrics[0].key", "metrics[1].name"),
        ("model_metrics[1].timestamp_ms", "metrics[3].timestamp"),
        ("model_metrics[1].dataset_digest", "metrics[3].dataset_digest"),
        ('params["é ✓"]', "params[1].key"),
        ('tags["a\\"b"]', "tags[0].key"),
        ('tags["other"]', None),
        ("run_id", None),
    ],
)
def test_a_field_is_found_in_the_lists(field: str, parameter: str | None) -> None:
    assert place(field, POINTS, {"x": "1", "é ✓": "2"}, {'a"b': "1"}) == parameter
