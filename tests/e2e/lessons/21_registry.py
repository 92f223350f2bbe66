"""Lesson 21: the registry says which version of a model is in use, and who decided it."""

from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier

import runstone
from runstone.exceptions import StageRulesBroken

X, y = load_wine(return_X_y=True, as_frame=True)
runstone.set_experiment("wine registry")
for trees in (5, 50):
    with runstone.start_run(run_name=f"{trees} trees"):
        model = RandomForestClassifier(n_estimators=trees, random_state=7).fit(X, y)
        runstone.sklearn.log_model(
            model, name="forest", input_example=X.head(1), registered_model_name="wine"
        )

client = runstone.Client()
client.update_registered_model("wine", description="Which cultivar a wine is made of.")
client.set_registered_model_tag("wine", "team", "cellar")
client.update_model_version("wine", 2, description="Ten times the trees.")

# Stages: first one version, then the next, which sends the first to the archive.
client.transition_model_version_stage("wine", 1, "Production")
client.transition_model_version_stage("wine", 2, "Production", archive_existing_versions=True)
# Aliases are names of your own, which move.
client.set_registered_model_alias("wine", "champion", 2)
client.set_registered_model_alias("wine", "fallback", 1)

for version in sorted(client.search_model_versions("name = 'wine'"), key=lambda v: int(v.version)):
    print(version.version, version.current_stage, version.aliases, version.description)
print("champion:", client.get_model_version_by_alias("wine", "champion").version)
loaded = runstone.sklearn.load_model("models:/wine@champion")
print("trees:   ", loaded.n_estimators)

# In a team one asks and another approves.
request = client.create_transition_request("wine", 1, "Staging", comment="for a comparison")
client.approve_transition_request(request.transition_request_id, comment="go on")

# Rules keep versions out of a stage, whoever moves them.
client.set_stage_rules("wine", "Production", ["signature", "accuracy_score >= 0.9"])
try:
    client.transition_model_version_stage("wine", 1, "Production")
except StageRulesBroken as error:
    print("refused: ", error)

print("audit:")
for event in client.list_audit_events("wine"):
    print("   ", event.action)
