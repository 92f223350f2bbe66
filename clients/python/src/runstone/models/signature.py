"""Signatures of models: what they take, what they give, and their parameters."""

from runstone._models.signatures import set_signature
from runstone._schema.hints import signature_from_type_hints
from runstone._schema.infer import infer_signature
from runstone._schema.signature import ModelSignature

__all__ = ["ModelSignature", "infer_signature", "set_signature", "signature_from_type_hints"]
