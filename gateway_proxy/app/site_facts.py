"""The headers in which the gateway tells its admin process who asks. A client's own copies are never passed on."""

PREFIX = "x-gateway-"
CLIENT_IP = "x-gateway-client-ip"
SCHEME = "x-gateway-scheme"
