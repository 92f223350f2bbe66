"""PyTorch: a traced graph (``torch.export``), of which loading runs nothing, or a pickle."""

from __future__ import annotations

import contextlib
import pickle
import types
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from runstone._flavors.calls import keep_extra
from runstone._flavors.libraries import is_of, library
from runstone._flavors.torchfiles import modules_of_checkpoint, pt2_runs
from runstone._models import environment, paths
from runstone._models.flavor import Flavor, Predictor, Written
from runstone._values import invalid
from runstone.exceptions import ModelFormatError

PT2 = "pt2"
PICKLE = "pickle"
DATA = "data"
STATE = "state_dict.pth"

_MLFLOW_PICKLE = "mlflow.pytorch.pickle_module"
"""The pickle module that MLflow reads a model with which cloudpickle wrote."""


class Pytorch(Flavor):
    """Modules of PyTorch, and TorchScript."""

    name: ClassVar[str] = "pytorch"
    loader_module: ClassVar[str] = "mlflow.pytorch"
    distributions: ClassVar[tuple[str, ...]] = ("torch", "numpy")

    def write(
        self,
        model: Any,
        folder: Path,
        *,
        tensors: Sequence[Any] | None = None,
        dynamic: Sequence[Sequence[int]] | None = None,
        serialization_format: str | None = None,
        pickle_module: Any = None,
        extra_files: Any = None,
        save_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Written:
        torch = library("torch")
        del options
        if not isinstance(model, torch.nn.Module):
            raise invalid("pytorch_model", f"must be a torch.nn.Module, not {type(model).__name__}")
        if serialization_format not in {None, PT2, PICKLE}:
            raise invalid(
                "serialization_format", f"must be pt2 or pickle, not {serialization_format!r:.50}"
            )
        (folder / DATA).mkdir()
        name = _MLFLOW_PICKLE if pickle_module is None else str(pickle_module.__name__)
        needs = ["cloudpickle"] if pickle_module is None else []
        exported = serialization_format != PICKLE and pickle_module is None
        if exported:
            exported = _export(
                model, folder / DATA / "model.pt2", tensors, dynamic, _must(serialization_format)
            )
        if not exported:
            path = folder / DATA / "model.pth"
            (folder / DATA / "pickle_module_info.txt").write_text(name, "utf-8")
            _pickle(model, path, pickle_module, dict(save_options or {}))
            needs += environment.distributions_of(modules_of_checkpoint(path))
        return Written(
            {
                "model_data": DATA,
                "pytorch_version": str(torch.__version__),
                **keep_extra(extra_files, folder),
            },
            DATA,
            [] if exported else needs,
            # What predicts takes one array; a model of several inputs is for its framework alone.
            {"pickle_module_name": name, "model_config": {"device": None}}
            if tensors is None or len(tensors) == 1
            else None,
        )

    def read(
        self,
        folder: Path,
        configuration: Mapping[str, Any],
        *,
        device: Any = None,
        model_config: Any = None,
        **options: Any,
    ) -> Any:
        torch = library("torch")
        path = _file(folder, configuration)
        if device is None and isinstance(model_config, Mapping):
            device = model_config.get("device")
        try:
            if path.suffix == ".pt2":
                model = torch.export.load(path).module()
            else:
                # The whole module: whether it may be unpickled was asked before.
                where = device or (None if torch.cuda.is_available() else "cpu")
                given = {"map_location": where} if where is not None else {}
                model = torch.load(path, **{"weights_only": False, **given, **options})
                model.eval()
        except Exception as error:
            raise ModelFormatError(
                f"{path.name} cannot be read by torch: {type(error).__name__}: {error}"
            ) from error
        return model if device is None else model.to(device)

    def unsafe(self, folder: Path, configuration: Mapping[str, Any]) -> str | None:
        path = _file(folder, configuration)
        if path.suffix != ".pt2":
            return f"a pickle ({DATA}/{path.name})"
        runs = pt2_runs(path)
        return (
            f"a program of torch that can run more than operations on tensors: {runs}"
            if runs
            else None
        )

    def predictor(self, model: Any, configuration: Mapping[str, Any]) -> Predictor:
        torch = library("torch")
        first = next(iter(model.parameters()), None)
        device = None if first is None else first.device

        def predict(data: Any, params: Mapping[str, Any]) -> Any:
            framed = hasattr(data, "to_numpy")
            given = data.to_numpy(dtype="float32") if framed else data
            if not hasattr(given, "dtype"):
                raise invalid("data", f"must be a DataFrame or an array, not {type(data).__name__}")
            with torch.no_grad(), _evaluating(model):
                found = model(torch.as_tensor(given).to(device), **params)
            if not isinstance(found, torch.Tensor):
                raise invalid(
                    "pytorch_model", f"must give one tensor, not a {type(found).__name__}"
                )
            array = found.cpu().numpy()
            if not framed:
                return array
            import pandas as pd

            return pd.DataFrame(array, index=data.index)

        return predict

    def owns(self, model: Any) -> bool:
        return is_of(model, "torch", "Module")


def _must(serialization_format: str | None) -> bool:
    return serialization_format == PT2


def _file(folder: Path, configuration: Mapping[str, Any]) -> Path:
    field = "flavors.pytorch.model_data"
    data = paths.inside(folder, configuration.get("model_data", DATA), field)
    if data.is_file():
        return data
    found = [data / name for name in ("model.pth", "model.pt2") if (data / name).is_file()]
    if not found:
        raise ModelFormatError(f"{field} in MLmodel names {data.name!r}, which holds no model.pth")
    return found[0]


def tensors_of(example: Any) -> list[Any] | None:
    """The tensors that an input example gives to a model; None where it gives none.

    An example is an array, a tensor, a DataFrame of numbers, or a tuple or list of the first two.
    """
    torch = library("torch")
    if example is None:
        return None
    if isinstance(example, tuple) and len(example) == 2 and isinstance(example[1], dict):
        return None  # parameters, which a graph does not keep
    several = example if isinstance(example, tuple | list) else [example]
    found: list[Any] = []
    for each in several:
        if isinstance(each, torch.Tensor):
            found.append(each.detach())
        elif hasattr(each, "to_numpy") and hasattr(each, "columns"):
            try:
                found.append(torch.from_numpy(each.to_numpy(dtype="float32")))
            except (TypeError, ValueError):
                return None
        elif hasattr(each, "dtype") and hasattr(each, "tobytes"):
            found.append(torch.as_tensor(each))
        else:
            return None
    return found or None


def example_to_keep(example: Any, tensors: Sequence[Any] | None) -> Any:
    """The input example as it is kept in a model's folder: tensors become arrays."""
    if tensors is None or hasattr(example, "to_numpy"):
        return example
    return tensors[0].cpu().numpy() if len(tensors) == 1 else None


def dynamic_of(signature: Any) -> list[list[int]] | None:
    """The dimensions of each input that may have any size, as a signature of tensors says it."""
    specs = getattr(getattr(signature, "inputs", None), "inputs", None)
    if not specs or not all(hasattr(spec, "shape") for spec in specs):
        return None
    return [[at for at, size in enumerate(spec.shape) if size == -1] for spec in specs]


def _export(
    model: Any,
    path: Path,
    tensors: Sequence[Any] | None,
    dynamic: Sequence[Sequence[int]] | None,
    must: bool,
) -> bool:
    """Write the graph of a model; False where that cannot be and needs not be."""
    torch = library("torch")
    if tensors is None:
        if must:
            raise invalid(
                "input_example",
                "must be an array or a tensor (or a list of them) to trace the model for pt2",
            )
        return False
    if isinstance(model, torch.jit.ScriptModule):
        if must:
            raise invalid("serialization_format", "must be pickle for TorchScript")
        return False
    try:
        torch.export.save(_traced(torch, model, tensors, dynamic), path)
    except Exception as error:
        if must:
            raise invalid("pytorch_model", f"cannot be traced by torch.export: {error}") from error
        path.unlink(missing_ok=True)
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        warnings.warn(
            f"the model is kept as a pickle, for torch.export cannot trace it: {reason}",
            stacklevel=8,
        )
        return False
    return True


def _traced(
    torch: Any, model: Any, tensors: Sequence[Any], dynamic: Sequence[Sequence[int]] | None
) -> Any:
    first = next(iter(model.parameters()), None)
    given = [each if first is None else each.to(first.device) for each in tensors]
    if dynamic is None:
        dynamic = [[0] if each.ndim else [] for each in given]
    if len(dynamic) != len(given):
        raise invalid("signature", f"has {len(dynamic)} inputs, and input_example {len(given)}")
    if all(each.ndim and each.shape[0] == 1 for each in given):
        # Of a batch of one torch concludes that there is never another size.
        given = [torch.cat([each, each]) for each in given]
    shapes = [dict.fromkeys(free, torch.export.Dim.AUTO) or None for free in dynamic]
    with _evaluating(model):
        return torch.export.export(model, tuple(given), dynamic_shapes=shapes)


@contextlib.contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Dropout and the like do nothing meanwhile, as in a model that was loaded."""
    training = [each for each in model.modules() if each.training]
    # Traced graphs refuse train() and eval(): they are what they were traced as.
    for each in training:
        each.training = False
    try:
        yield
    finally:
        for each in training:
            each.training = True


def _pickle(model: Any, path: Path, pickle_module: Any, options: dict[str, Any]) -> None:
    torch = library("torch")
    if isinstance(model, torch.jit.ScriptModule):
        torch.jit.ScriptModule.save(model, str(path))
        return
    try:
        torch.save(model, path, pickle_module=pickle_module or _cloudpickle(), **options)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise invalid("pytorch_model", f"cannot be pickled: {error}") from error


def _cloudpickle() -> types.SimpleNamespace:
    # torch takes the Pickler of a module, and cloudpickle gives that name to pickle's own.
    cloudpickle = library("cloudpickle")
    return types.SimpleNamespace(
        Pickler=cloudpickle.CloudPickler,
        Unpickler=pickle.Unpickler,
        dump=cloudpickle.dump,
        dumps=cloudpickle.dumps,
        load=pickle.load,
        __name__=_MLFLOW_PICKLE,
    )
