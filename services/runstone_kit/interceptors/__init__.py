"""What happens around every RPC, outermost first.

    request context → access log → metrics → error mapping → authentication → actor
        → permission → stream limit → deadline → servicer

Metrics lie outside error mapping and authentication, else NOT_FOUND would count as OK and refused
calls would not count at all. gRPC sees one interceptor, the ``Chain``; each layer is a file here.
"""

from __future__ import annotations

from runstone_kit.interceptors.chain import Call, Chain, Layer, Method

__all__ = ["Call", "Chain", "Layer", "Method"]
