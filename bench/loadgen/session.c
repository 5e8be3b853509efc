/* A client's life: log-in, stream management, contacts, numbered messages and presences.
 *
 * A numbered stanza carries, in its body or status, "lg" ("lr" in a room), the sender's number, a sequence number and
 * the time of sending.  Messages go to the partner (account 2n to 2n+1 and back), presences to every contact, group
 * chat to everybody in the room; in each case a receiver expects one unbroken sequence from each sender, so what is
 * missing, doubled or out of order shows.
 */
#define _GNU_SOURCE
#include "loadgen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GOT_ROSTER = 1, GOT_CARBONS = 2, GOT_ENABLED = 4, GOT_ACK = 8, GOT_ALL = 15 };

void (*on_delivered)(struct conn *sender);

static void open_stream(struct conn *c)
{
    c->in_stream = false;
    net_printf(c,
               "<?xml version='1.0'?><stream:stream to='%s' version='1.0' xml:lang='en' xmlns='jabber:client' "
               "xmlns:stream='http://etherx.jabber.org/streams'>",
               options.domain);
}

void session_connected(struct conn *c)
{
    c->state = ST_FEATURES;
    c->settled = 0;
    c->sm_on = c->sm_in_on = false;
    c->sm_sent = c->sm_received = c->sm_acked = c->since_request = 0;
    open_stream(c);
}

void session_stream_opened(struct conn *c)
{
    (void)c;
}

void session_stream_closed(struct conn *c)
{
    net_abort(c);
}

void session_lost(struct conn *c)
{
    if (c->state == ST_READY)
        tally.disconnected++;
    else if (c->state != ST_CLOSING)
        tally.login_failed++;
}

void session_close(struct conn *c)
{
    if (c->state != ST_READY)
        return;
    c->state = ST_CLOSING;
    net_printf(c, "<presence type='unavailable'/></stream:stream>");
}

void session_sent(struct conn *c, uint32_t stanzas)
{
    if (!c->sm_on)
        return;
    c->sm_sent += stanzas;
    c->since_request += stanzas;
    if (c->since_request >= ACK_EVERY)
        session_request_ack(c);
}

void session_request_ack(struct conn *c)
{
    c->since_request = 0;
    net_printf(c, "<r xmlns='urn:xmpp:sm:3'/>");
}

void session_message(struct conn *c, uint64_t stamp_ns)
{
    uint32_t seq = c->next_seq++;
    net_printf(c,
               "<message type='chat' id='%05x-%08x' to='u%05d@%s'>"
               "<body>lg%05x.%08x.%016llx See you at ten at the entrance</body>"
               "<active xmlns='http://jabber.org/protocol/chatstates'/>"
               "<request xmlns='urn:xmpp:receipts'/>"
               "<origin-id xmlns='urn:xmpp:sid:0' id='%05x-%08x'/></message>",
               c->index, seq, c->index ^ 1, options.domain, c->index, seq, (unsigned long long)stamp_ns, c->index,
               seq);
    session_sent(c, 1);
}

void session_presence(struct conn *c, uint64_t stamp_ns)
{
    uint32_t seq = c->next_seq++;
    net_printf(c, "<presence><show>%s</show><status>lg%05x.%08x.%016llx</status></presence>",
               seq & 1 ? "away" : "dnd", c->index, seq, (unsigned long long)stamp_ns);
    session_sent(c, 1);
}

void session_subscribe(struct conn *c, int other)
{
    net_printf(c, "<presence type='subscribe' to='u%05d@%s'/>", other, options.domain);
    session_sent(c, 1);
}

/* The sequence in which `receiver` gets what `sender` numbers, or NULL: nothing is to come from there. */
static uint32_t *expected_from(struct conn *receiver, int sender, bool in_room)
{
    struct seat *seat = receiver->seat;
    if (in_room)
        return seat && sender >= seat->first && sender < seat->first + seat->size
                   ? &seat->expected_seq[sender - seat->first]
                   : NULL;
    return sender < conn_count && sender != receiver->index && abs(sender - receiver->index) < GROUP_MAX
               ? &receiver->expected_seq[sender % GROUP_MAX]
               : NULL;
}

/* Perhaps a numbered stanza has arrived: `mark` points behind the tag that holds the number. */
void session_numbered(struct conn *c, const char *mark, size_t len)
{
    unsigned sender, seq;
    unsigned long long stamp;
    char text[40];
    if (len < 35 || mark[0] != 'l' || (mark[1] != 'g' && mark[1] != 'r'))
        return; /* some other body or status */
    memcpy(text, mark, 34);
    text[34] = 0;
    uint32_t *expected = sscanf(text + 2, "%5x.%8x.%16llx", &sender, &seq, &stamp) == 3
                             ? expected_from(c, (int)sender, mark[1] == 'r')
                             : NULL;
    if (!expected) {
        tally.malformed++;
        return;
    }
    if (seq == *expected)
        ++*expected;
    else if (seq < *expected) {
        tally.doubled++;
        return;
    } else {
        tally.disordered++;
        *expected = seq + 1;
    }
    tally.delivered++;
    latency_add(now_ns() - stamp);
    if (on_delivered)
        on_delivered(&conns[sender]);
}

static void presence(struct conn *c, const char *data, size_t len)
{
    char type[16], from[64];
    int other = -1;
    if (c->seat && room_presence(c, data, len))
        return;
    attribute(data, len, "type", type, sizeof type);
    attribute(data, len, "from", from, sizeof from);
    sscanf(from, "u%5d@", &other);
    if (!strcmp(type, "subscribe")) {
        net_printf(c, "<presence type='subscribed' to='u%05d@%s'/>", other, options.domain);
        session_sent(c, 1);
        if (other < c->index) /* the lower number asked first */
            session_subscribe(c, other);
    } else if (!strcmp(type, "error")) {
        tally.stanza_errors++;
    } else if (!type[0]) {
        const char *mark = find(data, len, "<status>");
        if (mark && other != c->index) /* servers may reflect our own presence */
            session_numbered(c, mark + 8, len - (size_t)(mark + 8 - data));
    }
}

static void maybe_ready(struct conn *c, unsigned bit)
{
    c->settled |= bit;
    if (c->state == ST_SETTLING && c->settled == GOT_ALL) {
        c->state = ST_READY;
        tally.logged_in++;
        latency_add(now_ns() - c->started_ns);
    }
}

static void bound(struct conn *c)
{
    c->state = ST_SETTLING;
    net_printf(c, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"
                  "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>"
                  "<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>"
                  "<presence><priority>1</priority></presence>");
    c->sm_on = true;
    session_sent(c, 3);
    session_request_ack(c);
}

static void note_contact(struct conn *c, const char *push, size_t len)
{
    const char *item = find(push, len, "<item");
    char jid[64];
    int other;
    if (item && attribute(item, len - (size_t)(item - push), "jid", jid, sizeof jid)
        && sscanf(jid, "u%5d@", &other) == 1)
        c->contacts |= 1u << (other % GROUP_MAX);
}

static void iq(struct conn *c, const char *data, size_t len)
{
    char type[16], id[64], from[128];
    attribute(data, len, "type", type, sizeof type);
    attribute(data, len, "id", id, sizeof id);
    if (!strcmp(type, "result")) {
        if (!strcmp(id, "bind"))
            bound(c);
        else if (!strcmp(id, "roster"))
            maybe_ready(c, GOT_ROSTER);
        else if (!strcmp(id, "carbons"))
            maybe_ready(c, GOT_CARBONS);
        else if (!strcmp(id, "room"))
            room_configured(c);
    } else if (!strcmp(type, "error")) {
        tally.stanza_errors++;
    } else {
        if (has(data, len, "jabber:iq:roster") && (has(data, len, "subscription='both'")
                                                   || has(data, len, "subscription=\"both\"")))
            note_contact(c, data, len);
        if (attribute(data, len, "from", from, sizeof from))
            net_printf(c, "<iq type='result' id='%s' to='%s'/>", id, from);
        else
            net_printf(c, "<iq type='result' id='%s'/>", id);
        session_sent(c, 1);
    }
}

static void stream_management(struct conn *c, const char *data, size_t len)
{
    char h[16];
    if (data[1] == 'r' && (data[2] == ' ' || data[2] == '/' || data[2] == '>')) {
        net_printf(c, "<a xmlns='urn:xmpp:sm:3' h='%u'/>", c->sm_received);
    } else if (data[1] == 'a' && data[2] == ' ') {
        attribute(data, len, "h", h, sizeof h);
        unsigned value = 0;
        sscanf(h, "%u", &value);
        c->sm_acked = value;
        if (value >= 3)
            maybe_ready(c, GOT_ACK);
    } else if (!strncmp(data + 1, "enabled", 7)) {
        c->sm_in_on = true;
        maybe_ready(c, GOT_ENABLED);
    }
}

static void negotiating(struct conn *c, const char *data, size_t len)
{
    char answer[1600];
    bool features = !strncmp(data, "<stream:features", 16) || !strncmp(data, "<features", 9);
    if (c->state == ST_FEATURES && features) {
        scram_first(c, answer, sizeof answer);
        net_printf(c, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>%s</auth>", answer);
        c->state = ST_CHALLENGE;
    } else if (c->state == ST_CHALLENGE && !strncmp(data, "<challenge", 10)
               && scram_answer(c, data, len, answer, sizeof answer)) {
        net_printf(c, "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%s</response>", answer);
        c->state = ST_SUCCESS;
    } else if (c->state == ST_SUCCESS && !strncmp(data, "<success", 8) && scram_verify(c, data, len)) {
        c->state = ST_FEATURES2;
        open_stream(c);
    } else if (c->state == ST_FEATURES2 && features) {
        net_printf(c, "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                      "<resource>bench</resource></bind></iq>");
        c->state = ST_BIND;
    } else {
        fprintf(stderr, "loadgen: u%05d in state %d: %.*s\n", c->index, c->state, (int)(len > 300 ? 300 : len), data);
        net_abort(c);
    }
}

void session_stanza(struct conn *c, const char *data, size_t len)
{
    if (c->state < ST_BIND) {
        negotiating(c, data, len);
        return;
    }
    if (!strncmp(data, "<message", 8)) {
        const char *mark = find(data, len, "<body>");
        c->sm_received += c->sm_in_on;
        if (has(data, 200 < len ? 200 : len, "type='error'") || has(data, 200 < len ? 200 : len, "type=\"error\""))
            tally.stanza_errors++;
        else if (mark)
            session_numbered(c, mark + 6, len - (size_t)(mark + 6 - data));
        else if (c->seat && c->seat->entering && has(data, len, "<subject"))
            room_subject(c);
    } else if (!strncmp(data, "<presence", 9)) {
        c->sm_received += c->sm_in_on;
        presence(c, data, len);
    } else if (!strncmp(data, "<iq", 3)) {
        c->sm_received += c->sm_in_on;
        iq(c, data, len);
    } else if (!strncmp(data, "<stream:error", 13)) {
        fprintf(stderr, "loadgen: u%05d: %.*s\n", c->index, (int)(len > 300 ? 300 : len), data);
        tally.stanza_errors++;
    } else {
        stream_management(c, data, len);
    }
}
