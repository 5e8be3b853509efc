"""The media engine's client: LiveKit's access tokens, server API (Twirp) and webhooks.

The same code drives the bridge processes of this daemon and a LiveKit server; they differ in where a room is
(`Engine(sites)`) and in nothing else.
"""
