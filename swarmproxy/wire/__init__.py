"""HTTP/1.1 on both sides: pooled connections to engines, the body relay, hijacked streams, our TLS."""
