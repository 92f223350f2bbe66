"""Runs as columns between the model and messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runstone.tracking import columnar
from runstone.tracking.v1 import run_columns_pb2 as pb
from runstone.tracking.v1.logged_model_pb2 import ModelInput, ModelOutput
from runstone_tracking.convert import write_stage
from runstone_tracking.convert_runs import STATUSES, write_input
from runstone_tracking.model_columns import RunColumns, TextColumn

GOES_ON = -1
"""The end of a run that has none yet."""


def write_columns(columns: RunColumns, next_page_token: str) -> Any:
    """A view of SearchRunColumnsResponse."""
    infos = columns.infos
    return columnar.run_columns_response().message_class(
        run_ids=[info.run_id for info in infos],
        experiment_ids=[info.experiment_id for info in infos],
        names=[info.name for info in infos],
        statuses=[STATUSES[info.status] for info in infos],
        lifecycle_stages=[write_stage(info.stage) for info in infos],
        user_ids=[info.user_id for info in infos],
        start_times_ms=[info.start_time for info in infos],
        end_times_ms=[GOES_ON if info.end_time is None else info.end_time for info in infos],
        metrics=[
            {
                "key": each.key,
                "rows": each.rows,
                "values": _run(columnar.pack_double(each.values)),
                "steps": _run(columnar.pack_int64(each.steps)),
                "timestamps_ms": _run(columnar.pack_int64(each.timestamps_ms)),
            }
            for each in columns.metrics
        ],
        params=map(_write_texts, columns.params),
        tags=map(_write_texts, columns.tags),
        inputs=[
            _write_inputs(columns, row).SerializeToString()
            for row in sorted({*columns.inputs, *columns.model_inputs, *columns.model_outputs})
        ],
        next_page_token=next_page_token,
    )


def _run(column: bytes) -> Sequence[bytes]:
    """The only run of a packed field, which has none when it is empty."""
    return (column,) if column else ()


def _write_texts(column: TextColumn) -> dict[str, Any]:
    return {"key": column.key, "rows": column.rows, "values": column.values}


def _write_inputs(columns: RunColumns, row: int) -> pb.RunInputs:
    return pb.RunInputs(
        row=row,
        inputs=map(write_input, columns.inputs.get(row, ())),
        model_inputs=[ModelInput(model_id=each) for each in columns.model_inputs.get(row, ())],
        model_outputs=[
            ModelOutput(model_id=each.model_id, step=each.step)
            for each in columns.model_outputs.get(row, ())
        ],
    )
