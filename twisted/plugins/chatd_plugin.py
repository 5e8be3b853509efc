"""Makes `twistd chatd` a command of twistd."""

from twisted.application.service import ServiceMaker

chatd = ServiceMaker("chatd", "chatd.tap", "chat for the accounts of a Webmail", "chatd")
