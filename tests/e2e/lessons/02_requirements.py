"""Lesson 2: what a model needs to be installed.

A model is only as good as the libraries it meets. Runstone writes the exact versions of those that
a model uses into its requirements.txt; you can add to them, or say all of them yourself.
"""

from pathlib import Path

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import runstone

X, y = load_iris(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=500).fit(X, y)


def show(title, info):
    print(title)
    path = runstone.pyfunc.get_model_dependencies(info.model_uri)
    for line in Path(path).read_text().splitlines():
        print("   ", line)


runstone.set_experiment("requirements")
with runstone.start_run():
    found = runstone.sklearn.log_model(model, name="found", input_example=X.head(1))
    show("Found by itself:", found)

    more = runstone.sklearn.log_model(model, name="more", extra_pip_requirements=["rich>=13"])
    show("With one more:", more)

    Path("requirements.txt").write_text("scikit-learn\nskops\nnumpy>=2\n")
    own = runstone.sklearn.log_model(model, name="own", pip_requirements="requirements.txt")
    show("From a file of mine:", own)

print("Elsewhere: pip install -r $(that file), then runstone.pyfunc.load_model(uri)")
