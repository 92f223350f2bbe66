"""An example for each command that has none of its own: what `--help` ends with.

A test reads each of them as a command line, and another calls it where no server is.
"""

from __future__ import annotations

EXAMPLES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("artifacts", "archive"): (
        "artifacts archive 3f2a9c41 -o run.tar.gz",
        "artifacts archive models:/iris/3 -o - | tar tz",
    ),
    ("artifacts", "delete"): ("artifacts delete 3f2a9c41 checkpoints --yes",),
    ("artifacts", "download"): (
        "artifacts download 3f2a9c41 model --to fetched",
        "artifacts download models:/iris/Production --to fetched",
    ),
    ("artifacts", "list"): ("artifacts list 3f2a9c41 --recursive",),
    ("artifacts", "log"): ("artifacts log model.skops runs:/3f2a9c41/model",),
    ("artifacts", "restore"): ("artifacts restore run.tar.gz runs:/3f2a9c41/restored",),
    ("artifacts", "scrub"): ("artifacts scrub --max-bytes 1000000000",),
    ("artifacts", "verify"): (
        "artifacts verify 3f2a9c41",
        "artifacts verify runs:/3f2a9c41/model ./model",
        "artifacts verify 3f2a9c41 run.tar.gz",
    ),
    ("db", "current"): ("db current --data-dir team-data",),
    ("db", "upgrade"): ("db upgrade --dry-run", "db upgrade --service tracking"),
    ("experiments", "create"): ("experiments create iris --tag team=blue",),
    ("experiments", "delete"): ("experiments delete iris --yes",),
    ("experiments", "export"): (
        "experiments export iris -o iris.csv",
        'experiments export iris --filter "metrics.acc > 0.9" | head -5',
    ),
    ("experiments", "get"): ("experiments get iris",),
    ("experiments", "list"): ("experiments list --view all",),
    ("experiments", "rename"): ("experiments rename iris flowers",),
    ("experiments", "restore"): ("experiments restore iris",),
    ("experiments", "search"): ("experiments search --filter \"tags.team = 'blue'\"",),
    ("experiments", "tag", "delete"): ("experiments tag delete iris team",),
    ("experiments", "tag", "set"): ("experiments tag set iris team=blue",),
    ("models", "alias", "delete"): ("models alias delete iris @champion",),
    ("models", "alias", "set"): ("models alias set iris @champion 3",),
    ("models", "approve"): ("models approve 5f0c2ab94d3e4b7c9f1a6e8d7b2c3a40",),
    ("models", "audit"): ("models audit iris 3",),
    ("models", "comments", "add"): ('models comments add iris 3 "good on the new data"',),
    ("models", "comments", "delete"): ("models comments delete 5f0c2ab94d3e4b7c9f1a6e8d7b2c3a40",),
    ("models", "comments", "edit"): (
        'models comments edit 5f0c2ab94d3e4b7c9f1a6e8d7b2c3a40 "better"',
    ),
    ("models", "comments", "list"): ("models comments list iris 3",),
    ("models", "copy"): ("models copy iris 3 iris-production",),
    ("models", "create"): ('models create iris --description "Flowers by their leaves"',),
    ("models", "delete"): ("models delete iris 3 --yes",),
    ("models", "export"): (
        "models export iris -o iris.tar.gz",
        "models export iris --version @champion -o champion.tar.gz",
    ),
    ("models", "get"): ("models get iris Production",),
    ("models", "import"): (
        "models import iris.tar.gz --tracking-uri runstone://live.example",
        "models import iris.tar.gz --name flowers --keep-stages",
    ),
    ("models", "list"): ("models list --limit 10",),
    ("models", "register"): (
        "models register iris --run 3f2a9c41 --path model",
        "models register iris --from ./model",
    ),
    ("models", "reject"): ("models reject 5f0c2ab94d3e4b7c9f1a6e8d7b2c3a40",),
    ("models", "rename"): ("models rename iris flowers",),
    ("models", "request-transition"): ("models request-transition iris 3 Production",),
    ("models", "requests"): ("models requests iris --state all",),
    ("models", "search"): ("models search --filter \"name LIKE 'iris%'\"",),
    ("models", "tag", "delete"): ("models tag delete iris team",),
    ("models", "tag", "set"): (
        "models tag set iris team=blue",
        "models tag set iris checked=yes --version 3",
    ),
    ("models", "transition"): ("models transition iris 3 Production --archive-existing-versions",),
    ("models", "update"): ('models update iris 3 --description "With the data of May"',),
    ("models", "versions"): ("models versions iris --filter \"stage = 'Production'\"",),
    ("runs", "compare"): ("runs compare 3f2a9c41 7b1e0d52",),
    ("runs", "create"): ("runs create --experiment iris --name by-hand --tag team=blue",),
    ("runs", "delete"): ("runs delete 3f2a9c41 --yes",),
    ("runs", "describe"): ("runs describe 3f2a9c41",),
    ("runs", "end"): ("runs end 3f2a9c41 --status failed",),
    ("runs", "get"): ("runs get 3f2a9c41",),
    ("runs", "list"): ("runs list --experiment iris --limit 10",),
    ("runs", "metric"): ("runs metric 3f2a9c41 loss",),
    ("runs", "restore"): ("runs restore 3f2a9c41",),
    ("runs", "tag", "delete"): ("runs tag delete 3f2a9c41 team",),
    ("runs", "tag", "set"): ("runs tag set 3f2a9c41 team=blue",),
    ("ui",): ("ui --no-open", "ui --url http://tracking.example:5000"),
    ("webhooks", "create"): ("webhooks create ci https://example.org/ci --event prompt.created",),
    ("webhooks", "delete"): ("webhooks delete 5f0c2ab94d3e4b7c9f1a6e8d7b2c3a40 --yes",),
    ("webhooks", "get"): ("webhooks get 5f0c2ab94d3e4b7c9f1a6e8d7b2c3a40",),
    ("webhooks", "list"): ("webhooks list --limit 10",),
    ("webhooks", "test"): ("webhooks test 5f0c2ab94d3e4b7c9f1a6e8d7b2c3a40",),
    ("webhooks", "update"): ("webhooks update 5f0c2ab94d3e4b7c9f1a6e8d7b2c3a40 --status active",),
}


def text_of(path: tuple[str, ...]) -> str:
    """The end of a command's help; empty when it has no example here."""
    lines = EXAMPLES.get(path)
    if lines is None:
        return ""
    heading = "Example" if len(lines) == 1 else "Examples"
    return "\n".join(["\b", f"{heading}:", *(f"  runstone {line}" for line in lines)])
