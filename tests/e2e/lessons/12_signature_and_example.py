"""Lesson 12: a model's signature and its input example.

The signature says which columns of which types a model takes and what it gives back. It is held at
every prediction, so a wrong column is an error with a name instead of a wrong number.
"""

from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

import runstone
from runstone.exceptions import SchemaMismatch

X, y = load_iris(return_X_y=True, as_frame=True)
model = RandomForestClassifier(n_estimators=10, random_state=7).fit(X, y)

runstone.set_experiment("signatures")
with runstone.start_run():
    # Two rows are enough: what they and the predictions for them look like is the signature.
    info = runstone.sklearn.log_model(model, name="iris", input_example=X.head(2))

print("takes:")
for column in info.signature.inputs:
    print("   ", column.name, column.type.name)
print("gives:", info.signature.outputs)

loaded = runstone.pyfunc.load_model(info.model_uri)
print("the example:")
print(loaded.input_example.to_string())
print("predicts", loaded.predict(X.head(3)).tolist())
print("in any order", loaded.predict(X.head(3)[X.columns[::-1]]).tolist())

wrong = X.head(3).rename(columns={"petal width (cm)": "petal width"})
wrong["sepal length (cm)"] = ["short", "long", "long"]
try:
    loaded.predict(wrong)
except SchemaMismatch as error:
    print("refused:", error)
