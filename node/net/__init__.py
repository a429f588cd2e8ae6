"""PDUs, command sets, sockets and TLS: what services we provide and services we use share."""
