/* Group chat (XEP-0045): rooms of neighbouring accounts, who enter and write to everybody.
 *
 * The room of the accounts F to F+S-1 is called room-S-F, and its occupants have the names of their accounts.  Who
 * enters has done so when the subject comes, which is the last of what a room sends then (7.1); a room has settled
 * when everybody has seen everybody's presence once.
 */
#define _GNU_SOURCE
#include "loadgen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char join[] = "<x xmlns='http://jabber.org/protocol/muc'/>";

/* From now on this account belongs to that room; it enters it later. */
void room_take_seat(struct conn *c, int first, int size)
{
    if (!c->seat && !(c->seat = malloc(sizeof *c->seat)))
        abort();
    memset(c->seat, 0, sizeof *c->seat);
    c->seat->first = first;
    c->seat->size = size;
}

static void enter(struct conn *c)
{
    net_printf(c, "<presence to='room-%d-%d@conference.%s/u%05d'>%s</presence>", c->seat->size, c->seat->first,
               options.domain, c->index, join);
    session_sent(c, 1);
}

/* The first occupant enters and submits the settings, "VAR=VALUE VAR=VALUE"; until then nobody else gets in. */
void room_make(struct conn *c, const char *settings)
{
    char fields[1024], text[512], *next = text, *setting;
    size_t used = 0;
    enter(c);
    fields[0] = 0;
    snprintf(text, sizeof text, "%s", settings);
    while ((setting = strsep(&next, " "))) {
        char *value = strchr(setting, '=');
        if (!value || used >= sizeof fields)
            continue;
        *value++ = 0;
        used += (size_t)snprintf(fields + used, sizeof fields - used, "<field var='%s'><value>%s</value></field>",
                                 setting, value);
    }
    net_printf(c,
               "<iq type='set' id='room' to='room-%d-%d@conference.%s'>"
               "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>"
               "<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>%s"
               "</x></query></iq>",
               c->seat->size, c->seat->first, options.domain, fields);
    session_sent(c, 1);
}

void room_configured(struct conn *c)
{
    (void)c;
    tally.rooms_made++;
}

void room_enter(struct conn *c)
{
    c->seat->entering = true;
    c->seat->entered_ns = now_ns();
    enter(c);
}

void room_subject(struct conn *c)
{
    c->seat->entering = false;
    tally.entered++;
    latency_add(now_ns() - c->seat->entered_ns);
}

/* True if this presence is of an occupant: the first available one of each counts. */
bool room_presence(struct conn *c, const char *data, size_t len)
{
    char from[128], type[16];
    int other;
    attribute(data, len, "from", from, sizeof from);
    if (strncmp(from, "room-", 5))
        return false;
    attribute(data, len, "type", type, sizeof type);
    const char *nick = strchr(from, '/');
    if (!strcmp(type, "error")) {
        tally.stanza_errors++;
    } else if (!type[0] && nick && sscanf(nick, "/u%5d", &other) == 1) {
        other -= c->seat->first;
        if (other < 0 || other >= c->seat->size) {
            tally.malformed++;
        } else if (!c->seat->seen[other]) {
            c->seat->seen[other] = true;
            tally.room_presences++;
        }
    }
    return true;
}

void room_message(struct conn *c, uint64_t stamp_ns)
{
    uint32_t seq = c->seat->next_seq++;
    net_printf(c,
               "<message type='groupchat' id='%05x-%08x' to='room-%d-%d@conference.%s'>"
               "<body>lr%05x.%08x.%016llx See you at ten at the entrance</body>"
               "<active xmlns='http://jabber.org/protocol/chatstates'/>"
               "<origin-id xmlns='urn:xmpp:sid:0' id='%05x-%08x'/></message>",
               c->index, seq, c->seat->size, c->seat->first, options.domain, c->index, seq,
               (unsigned long long)stamp_ns, c->index, seq);
    session_sent(c, 1);
}
