"""The modules whose names users import."""

import runstone
from runstone import (
    artifacts,
    data,
    entities,
    exceptions,
    metrics,
    models,
    projects,
    pyfunc,
    sklearn,
    types,
)
from runstone.models import signature
from runstone.types import schema

MODULES = (
    *(runstone, artifacts, data, entities, exceptions),
    *(metrics, models, signature, schema, types, projects, pyfunc, sklearn),
)
