"""XML namespaces, named by the words their own specifications use."""

from __future__ import annotations

from typing import Final

# RFC 6120, RFC 6121, RFC 7395
CLIENT: Final = "jabber:client"
SERVER: Final = "jabber:server"
STREAMS: Final = "http://etherx.jabber.org/streams"
STREAM_ERRORS: Final = "urn:ietf:params:xml:ns:xmpp-streams"
STANZAS: Final = "urn:ietf:params:xml:ns:xmpp-stanzas"
TLS: Final = "urn:ietf:params:xml:ns:xmpp-tls"
SASL: Final = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND: Final = "urn:ietf:params:xml:ns:xmpp-bind"
SESSION: Final = "urn:ietf:params:xml:ns:xmpp-session"
FRAMING: Final = "urn:ietf:params:xml:ns:xmpp-framing"
ROSTER: Final = "jabber:iq:roster"
ROSTERVER: Final = "urn:xmpp:features:rosterver"
PREAPPROVAL: Final = "urn:xmpp:features:pre-approval"
XML: Final = "http://www.w3.org/XML/1998/namespace"

# XEPs
DATA: Final = "jabber:x:data"                            # 0004
LAST: Final = "jabber:iq:last"                           # 0012
DISCO_INFO: Final = "http://jabber.org/protocol/disco#info"      # 0030
DISCO_ITEMS: Final = "http://jabber.org/protocol/disco#items"    # 0030
PRIVATE: Final = "jabber:iq:private"                     # 0049
SEARCH: Final = "jabber:iq:search"                       # 0055
BOOKMARKS_OLD: Final = "storage:bookmarks"               # 0048
COMMANDS: Final = "http://jabber.org/protocol/commands"  # 0050
VCARD: Final = "vcard-temp"                              # 0054
VCARD_UPDATE: Final = "vcard-temp:x:update"              # 0153
RSM: Final = "http://jabber.org/protocol/rsm"            # 0059
PUBSUB: Final = "http://jabber.org/protocol/pubsub"      # 0060
PUBSUB_ERRORS: Final = "http://jabber.org/protocol/pubsub#errors"    # 0060
PUBSUB_EVENT: Final = "http://jabber.org/protocol/pubsub#event"      # 0060
PUBSUB_OWNER: Final = "http://jabber.org/protocol/pubsub#owner"      # 0060
AVATAR_DATA: Final = "urn:xmpp:avatar:data"              # 0084
AVATAR_METADATA: Final = "urn:xmpp:avatar:metadata"      # 0084
REGISTER: Final = "jabber:iq:register"                   # 0077
REGISTER_FEATURE: Final = "http://jabber.org/features/iq-register"   # 0077
ADMIN: Final = "http://jabber.org/protocol/admin"        # 0133
CHAT_STATES: Final = "http://jabber.org/protocol/chatstates"     # 0085
VERSION: Final = "jabber:iq:version"                     # 0092
CAPS: Final = "http://jabber.org/protocol/caps"          # 0115
HTTPBIND: Final = "http://jabber.org/protocol/httpbind"  # 0124
XBOSH: Final = "urn:xmpp:xbosh"                          # 0206
RECEIPTS: Final = "urn:xmpp:receipts"                    # 0184
BLOCKING: Final = "urn:xmpp:blocking"                    # 0191
BLOCKING_ERRORS: Final = "urn:xmpp:blocking:errors"      # 0191
SM: Final = "urn:xmpp:sm:3"                              # 0198
PING: Final = "urn:xmpp:ping"                            # 0199
TIME: Final = "urn:xmpp:time"                            # 0202
DELAY: Final = "urn:xmpp:delay"                          # 0203
DIALBACK: Final = "jabber:server:dialback"               # 0220
DIALBACK_FEATURES: Final = "urn:xmpp:features:dialback"  # 0220
EXTDISCO: Final = "urn:xmpp:extdisco:2"                  # 0215
BIDI: Final = "urn:xmpp:bidi"                            # 0288
BIDI_FEATURES: Final = "urn:xmpp:features:bidi"          # 0288
CARBONS: Final = "urn:xmpp:carbons:2"                    # 0280
FORWARD: Final = "urn:xmpp:forward:0"                    # 0297
MAM: Final = "urn:xmpp:mam:2"                            # 0313
MAM_EXTENDED: Final = "urn:xmpp:mam:2#extended"          # 0313
COMPONENT: Final = "jabber:component:accept"            # 0114
MARKERS: Final = "urn:xmpp:chat-markers:0"               # 0333
HINTS: Final = "urn:xmpp:hints"                          # 0334
CSI: Final = "urn:xmpp:csi:0"                            # 0352
SID: Final = "urn:xmpp:sid:0"                            # 0359
BIND2: Final = "urn:xmpp:bind:0"                         # 0386
PREAUTH: Final = "urn:xmpp:pars:0"                       # 0379
SASL2: Final = "urn:xmpp:sasl:2"                         # 0388
PEP_VCARD: Final = "urn:xmpp:pep-vcard-conversion:0"     # 0398
BOOKMARKS: Final = "urn:xmpp:bookmarks:1"                # 0402
SASL_CB: Final = "urn:xmpp:sasl-cb:0"                    # 0440
IBR_TOKEN: Final = "urn:xmpp:ibr-token:0"                # 0445
FAST: Final = "urn:xmpp:fast:0"                          # 0484
DISPLAYED: Final = "urn:xmpp:mds:displayed:0"            # 0490
DISPLAYED_ASSIST: Final = "urn:xmpp:mds:server-assist:0" # 0490
MUC: Final = "http://jabber.org/protocol/muc"            # 0045
MUC_USER: Final = "http://jabber.org/protocol/muc#user"  # 0045
PUSH: Final = "urn:xmpp:push:0"                          # 0357
UPLOAD: Final = "urn:xmpp:http:upload:0"                 # 0363
UPLOAD_PURPOSE: Final = "urn:xmpp:http:upload:purpose:0"  # 0363
REPORTING: Final = "urn:xmpp:reporting:1"                # 0377
MSGOFFLINE: Final = "msgoffline"                         # 0160

# Our own: docs/protocol.md
DIRECTORY: Final = "urn:chatd:directory:0"
MEET: Final = "urn:chatd:meet:0"
