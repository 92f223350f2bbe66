"""Where ours answers otherwise on purpose: scenario, then place in its document, then the reason."""

KNOWN_DIFFERENCES: dict[str, dict[str, str]] = {}
