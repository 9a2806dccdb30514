"""How each outside world speaks: UPI, three gateways, TRON, sources of rates. No database, no rules of ours."""
