"""How the statistics are proven: one module an item of "How this is proven", each giving a `Proof`."""
