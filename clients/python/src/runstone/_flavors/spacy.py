"""spaCy: a pipeline's folder, of which the config names what is to be made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from runstone._flavors.calls import keep_extra
from runstone._flavors.libraries import is_of, library
from runstone._models import paths
from runstone._models.flavor import Flavor, Predictor, Written
from runstone._values import invalid
from runstone.exceptions import ModelFormatError

DATA = "model.spacy"

_OWN = frozenset(
    {
        *("attribute_ruler", "beam_ner", "beam_parser", "doc_cleaner", "entity_linker"),
        *("entity_ruler", "experimental_edit_tree_lemmatizer", "future_entity_ruler"),
        *("lemmatizer", "merge_entities", "merge_noun_chunks", "merge_subtokens", "morphologizer"),
        *("ner", "parser", "sentencizer", "senter", "span_cleaner", "span_finder", "span_ruler"),
        *("spancat", "spancat_singlelabel", "tagger", "textcat", "textcat_multilabel", "tok2vec"),
        *("token_splitter", "trainable_lemmatizer"),
    }
)
"""spaCy's own components; others come from packages, or from code beside the model."""

_FACTORY = re.compile(r"^\s*factory\s*=\s*(.*)$", re.MULTILINE)
_FUNCTION = re.compile(r"^\s*@(\w+)\s*=\s*(.*)$", re.MULTILINE)
_SOURCE = re.compile(r"^\s*source\s*=\s*(?!null\b)\S", re.MULTILINE)
"""A component of an installed package, or of a folder anywhere."""

_INLINE = re.compile(r"""["']@\w+["']\s*:""")
"""A function that is named inside of a value."""

_SPACY = re.compile(
    r"spacy(-legacy)?\.[\w.]+"
    # and what thinc, which spaCy learns with, calls its own
    r"|(Adam|RAdam|SGD|compounding|constant|constant_then|cyclic_triangular|decaying"
    r"|slanted_triangular|warmup_linear)\.v\d"
)
_LOADS_OTHERS = ("spacy.copy_from_base_model", "spacy.models_and_pipes")


class Spacy(Flavor):
    """Pipelines of spaCy."""

    name: ClassVar[str] = "spacy"
    loader_module: ClassVar[str] = "mlflow.spacy"
    distributions: ClassVar[tuple[str, ...]] = ("spacy",)

    def write(self, model: Any, folder: Path, *, extra_files: Any = None) -> Written:
        spacy = library("spacy")
        if not isinstance(model, spacy.language.Language):
            raise invalid("spacy_model", f"must be a Language, not {type(model).__name__}")
        model.to_disk(folder / DATA)
        kind = library("spacy.pipeline", "spacy").TextCategorizer
        classifies = any(isinstance(each, kind) for _, each in model.pipeline)
        return Written(
            {
                "spacy_version": spacy.__version__,
                "data": DATA,
                **keep_extra(extra_files, folder),
            },
            DATA,
            # What predicts gives categories; other pipelines are for their framework alone.
            python_function={} if classifies else None,
        )

    def read(self, folder: Path, configuration: Mapping[str, Any], **options: Any) -> Any:
        spacy = library("spacy")
        path = _folder(folder, configuration)
        try:
            return spacy.load(path)
        except Exception as error:
            raise ModelFormatError(f"{path.name} cannot be read by spaCy: {error}") from error

    def unsafe(self, folder: Path, configuration: Mapping[str, Any]) -> str | None:
        config = _folder(folder, configuration) / "config.cfg"
        try:
            text = config.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelFormatError(f"{config.name} cannot be read: {error}") from error
        names = [name.strip().strip('"') for name in _FACTORY.findall(text)]
        strange = {name for name in names if name not in _OWN}
        for _, found in _FUNCTION.findall(text):
            name = found.strip().strip('"')
            if not _SPACY.fullmatch(name) or name.startswith(_LOADS_OTHERS):
                strange.add(name)
        if _SOURCE.search(text) or _INLINE.search(text):
            strange.add("something from elsewhere")
        if strange:
            return f"a pipeline with parts that are not spaCy's own: {', '.join(sorted(strange))}"
        return None

    def predictor(self, model: Any, configuration: Mapping[str, Any]) -> Predictor:
        def predict(data: Any, params: Mapping[str, Any]) -> Any:
            del params  # spaCy takes none
            import pandas as pd

            if not hasattr(data, "columns") or len(data.columns) != 1:
                raise invalid("data", "must be a DataFrame of one column, with texts")
            categories = [model(text).cats for text in data.iloc[:, 0]]
            return pd.DataFrame({"predictions": categories}, index=data.index)

        return predict

    def owns(self, model: Any) -> bool:
        return is_of(model, "spacy", "Language")


def _folder(folder: Path, configuration: Mapping[str, Any]) -> Path:
    return paths.inside(folder, configuration.get("data", DATA), "flavors.spacy.data")
