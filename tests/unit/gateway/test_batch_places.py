"""What log-batch tells of a wrong point, param or tag: where in the request it was."""

import pytest

from runstone_gateway.routes_metrics import place

POINTS = [{"key": "a"}, {"key": "b#d"}, {"key": "a"}, {"key": "c"}]


@pytest.mark.parametrize(
    ("field", "parameter"),
    [
        ("series[0].key", "metrics[0].name"),
        ("series[1].key", "metrics[1].name"),
        ("series[2].key", "metrics[3].name"),
        ("series[0].timestamps_ms[1]", "metrics[2].timestamp"),
        ('params["é ✓"]', "params[1].key"),
        ('tags["a\\"b"]', "tags[0].key"),
        ('tags["other"]', None),
        ("run_id", None),
    ],
)
def test_a_field_is_found_in_the_lists(field: str, parameter: str | None) -> None:
    assert place(field, POINTS, {"x": "1", "é ✓": "2"}, {'a"b': "1"}) == parameter
