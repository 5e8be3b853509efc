"""The HTTP side of chatd: the log-in page and chat panel, discovery, health and metrics.

What server rooms serve over HTTP (WebSocket, BOSH) they hand in as resources: see `chatd.web.site.make_site`.
"""
