"""Lesson 25: a complete experiment script: data, search, judgement, registry.

python 25_complete_script.py --trees 20 60 --depths 2 6
"""

import argparse

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score, train_test_split

import runstone

MODEL, ENOUGH = "cancer-forest", 0.9


def tried(X, y, trees, depth):
    """One setting in a run of its own; its cross-validated accuracy."""
    with runstone.start_run(run_name=f"{trees} trees, depth {depth}", nested=True):
        runstone.log_params({"n_estimators": trees, "max_depth": depth})
        model = RandomForestClassifier(trees, max_depth=depth, random_state=7)
        accuracy = cross_val_score(model, X, y, cv=3).mean()
        runstone.log_metric("cv_accuracy", accuracy)
    return accuracy


def main(arguments):
    frame = load_breast_cancer(as_frame=True).frame.rename(columns={"target": "benign"})
    train, test = train_test_split(frame, random_state=7, stratify=frame["benign"])
    X_train, y_train = train.drop(columns="benign"), train["benign"]

    runstone.set_experiment(arguments.experiment)
    with runstone.start_run(run_name="forest") as run:
        data = runstone.data.from_pandas(train, name="breast-cancer", targets="benign")
        runstone.log_input(data, context="training")
        settings = [(trees, depth) for trees in arguments.trees for depth in arguments.depths]
        trees, depth = max(settings, key=lambda each: tried(X_train, y_train, *each))
        runstone.log_params({"n_estimators": trees, "max_depth": depth})
        model = RandomForestClassifier(trees, max_depth=depth, random_state=7).fit(X_train, y_train)
        info = runstone.sklearn.log_model(
            model, name="forest", input_example=X_train.head(2), registered_model_name=MODEL
        )
        version = info.registered_model_version
        uri, plots = f"models:/{MODEL}/{version}", {"log_model_explainability": False}
        result = runstone.evaluate(
            uri, test, targets="benign", model_type="classifier", evaluator_config=plots
        )
    accuracy = result.metrics["accuracy_score"]
    print("best:", runstone.get_run(run.info.run_id).data.params, f"accuracy {accuracy:.3f}")
    if accuracy >= ENOUGH:
        runstone.Client().set_registered_model_alias(MODEL, "champion", version)
        print(f"version {version} of {MODEL} is the champion")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiment", default="complete")
    parser.add_argument("--trees", type=int, nargs="+", default=[10, 30])
    parser.add_argument("--depths", type=int, nargs="+", default=[2, 6])
    main(parser.parse_args())
