"""Where ours answers otherwise on purpose: scenario, place in its document, reason."""

KNOWN_DIFFERENCES: dict[str, dict[str, str]] = {}
