"""Meetings on meet.DOMAIN: rooms (chatd.xep.muc) with sound and picture.  docs/protocol.md has what is said.

`meet` is the module, `service` one domain of meetings, `meeting` one of them; a file for each thing people do in it.
"""
