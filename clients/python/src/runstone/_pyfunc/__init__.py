"""Any model by one interface: a function from data to predictions."""
