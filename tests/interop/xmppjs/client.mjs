// xmpp.js told what to do in JSON lines: connect {service, domain, username, password, token, agent}, send {to, body},
// cut, stop.  It says: tried {mechanism}, success {inline}, saved {token}, online {jid}, resumed {jid},
// message {from, body}, error {condition}.

import { createInterface } from "node:readline";

import { client, xml } from "@xmpp/client";

let xmpp;

function say(event, values = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...values })}\n`);
}

const commands = {
  async connect({ service, domain, username, password, token, agent }) {
    xmpp = client({
      service,
      domain,
      resource: "Paper",
      credentials: { username, password, token },
      userAgent: xml("user-agent", { id: agent }, xml("software", {}, "xmpp.js")),
      username,
    });
    xmpp.reconnect.delay = 50;
    xmpp.fast.saveToken = async (value) => {
      token = value;
      say("saved", { token });
    };
    xmpp.fast.fetchToken = async () => token;
    xmpp.on("online", (jid) => say("online", { jid: jid.toString() }));
    // After a resumption the library does not say "online" again.
    xmpp.streamManagement.on("resumed", () => say("resumed", { jid: xmpp.jid.toString() }));
    xmpp.on("send", (element) => {
      if (element.is("authenticate")) say("tried", { mechanism: element.attrs.mechanism });
    });
    xmpp.on("element", (element) => {
      if (element.is("success")) say("success", { inline: element.getChildElements().map((one) => one.name) });
    });
    xmpp.on("stanza", (stanza) => {
      if (stanza.is("message")) say("message", { from: stanza.attrs.from, body: stanza.getChildText("body") });
    });
    xmpp.on("error", (error) => say("error", { condition: error.condition ?? String(error) }));
    // What goes wrong is told by "error" as well.
    await xmpp.start().catch(() => {});
  },
  async send({ to, body }) {
    await xmpp.send(body ? xml("message", { to, type: "chat" }, xml("body", {}, body)) : xml("presence"));
  },
  async cut() {
    // Without a word to the server.
    (xmpp.socket.socket ?? xmpp.socket).destroy();
  },
  async stop() {
    await xmpp.stop();
    process.exit(0);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { do: name, ...values } = JSON.parse(line);
  commands[name](values);
}
