/* The measurements.  Each prints one JSON object in one line. */
#include "loadgen.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Stanzas that have not arrived this long after the last one was sent count as missing. */
#define DRAIN_S 60.0

static struct {
    uint64_t time, server, own, delivered;
} before, after;

static uint64_t in_s(double seconds)
{
    return now_ns() + (uint64_t)(seconds * 1e9);
}

static void serve_until(uint64_t until)
{
    while (now_ns() < until)
        net_turn(until);
}

static void mark_start(void)
{
    before.server = server_cpu_ns();
    before.own = own_cpu_ns();
    before.time = now_ns();
    before.delivered = tally.delivered;
    latency_reset();
}

static void mark_end(void)
{
    after.server = server_cpu_ns();
    after.own = own_cpu_ns();
    after.time = now_ns();
    after.delivered = tally.delivered;
}

static void print_cost(const char *what, uint64_t count)
{
    double each = count ? (double)count : NAN;
    printf("{\"what\":\"%s\",\"count\":%llu,\"seconds\":%.4f,\"per_s\":%.2f,", what, (unsigned long long)count,
           (double)(after.time - before.time) / 1e9, (double)count / ((double)(after.time - before.time) / 1e9));
    if (count)
        printf("\"server_us\":%.3f,\"generator_us\":%.3f,", (double)(after.server - before.server) / 1e3 / each,
               (double)(after.own - before.own) / 1e3 / each);
    printf("\"generator_busy\":%.4f,", (double)(after.own - before.own) / (double)(after.time - before.time));
    printf("\"server_busy\":%.4f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"mean_ms\":%.3f,",
           (double)(after.server - before.server) / (double)(after.time - before.time), latency_ms(0.5),
           latency_ms(0.99), latency_ms(1), latency_mean_ms());
}

static void print_rest(void)
{
    printf("\"doubled\":%llu,\"disordered\":%llu,\"malformed\":%llu,\"login_failed\":%llu,\"disconnected\":%llu,"
           "\"stanza_errors\":%llu,\"tls\":\"%s\"}\n",
           (unsigned long long)tally.doubled, (unsigned long long)tally.disordered,
           (unsigned long long)tally.malformed, (unsigned long long)tally.login_failed,
           (unsigned long long)tally.disconnected, (unsigned long long)tally.stanza_errors, tls_name);
    fflush(stdout);
}

void load_login(int first, int count, int concurrency)
{
    memset(&tally, 0, sizeof tally);
    int opened = 0;
    uint64_t give_up = in_s(60 + count * 0.1);
    mark_start();
    while ((int)(tally.logged_in + tally.login_failed) < count && now_ns() < give_up) {
        while (opened < count && opened - (int)(tally.logged_in + tally.login_failed) < concurrency) {
            struct conn *c = &conns[first + opened++];
            c->started_ns = now_ns();
            c->next_seq = 0;
            for (int i = c->index - GROUP_MAX + 1; i < c->index + GROUP_MAX; i++)
                if (i >= 0 && i < conn_count)
                    conns[i].expected_seq[c->index % GROUP_MAX] = 0;
            if (!net_open(c))
                tally.login_failed++;
        }
        net_turn(in_s(0.1));
    }
    mark_end();
    print_cost("login", tally.logged_in);
    print_rest();
    scram_save();
}

void load_logout(int first, int count)
{
    uint64_t give_up = in_s(30);
    memset(&tally, 0, sizeof tally);
    int open = 1;
    mark_start();
    for (int i = first; i < first + count; i++) {
        session_close(&conns[i]);
        if (i % 50 == 49)
            serve_until(in_s(0.005));
    }
    while (open && now_ns() < give_up) {
        net_turn(in_s(0.05));
        open = 0;
        for (int i = first; i < first + count; i++)
            open += conns[i].state != ST_CLOSED;
    }
    mark_end();
    for (int i = first; i < first + count; i++)
        net_abort(&conns[i]);
    print_cost("logout", (uint64_t)count);
    printf("\"left_open\":%d,", open);
    print_rest();
}

/* Mutual subscription of all in each group of so many neighbours, through the protocol. */
void load_befriend(int first, int count, int group)
{
    uint64_t give_up = in_s(240);
    memset(&tally, 0, sizeof tally);
    int missing = count;
    mark_start();
    for (int i = first; i < first + count; i++) {
        for (int other = i + 1; (other - first) % group; other++)
            session_subscribe(&conns[i], other);
        if (i % 20 == 0)
            serve_until(in_s(0.05));
    }
    while (missing && now_ns() < give_up) {
        net_turn(in_s(0.05));
        missing = 0;
        for (int i = first; i < first + count; i++)
            missing += __builtin_popcount(conns[i].contacts) != group - 1;
    }
    serve_until(in_s(1));
    mark_end();
    print_cost("befriend", (uint64_t)(count - missing));
    printf("\"missing\":%d,", missing);
    print_rest();
}

/* Rooms of `size` neighbours.  The first of each makes it, with these settings, and then the others enter. */
void load_enter(int first, int count, int size, int concurrency, const char *settings)
{
    uint64_t give_up = in_s(120), presences;
    int entered = 0, wanted = count - count / size;
    memset(&tally, 0, sizeof tally);
    for (int i = first; i < first + count; i++)
        room_take_seat(&conns[i], first + (i - first) / size * size, size);
    for (int i = first; i < first + count; i += size)
        room_make(&conns[i], settings);
    while ((int)tally.rooms_made < count / size && now_ns() < give_up)
        net_turn(in_s(0.05));
    mark_start();
    presences = tally.room_presences;
    for (int i = first; (int)tally.entered < wanted && now_ns() < give_up; net_turn(in_s(0.1)))
        for (; i < first + count && entered - (int)tally.entered < concurrency; i++)
            if ((i - first) % size) {
                room_enter(&conns[i]);
                entered++;
            }
    uint64_t due = (uint64_t)count * (uint64_t)size; /* everybody sees everybody */
    while (tally.room_presences < due && now_ns() < give_up)
        net_turn(in_s(0.05));
    mark_end();
    presences = tally.room_presences - presences;
    print_cost("enter", tally.entered);
    printf("\"rooms\":%llu,\"presences\":%llu,\"presence_us\":%.3f,\"missing\":%lld,",
           (unsigned long long)tally.rooms_made, (unsigned long long)presences,
           (double)(after.server - before.server) / 1e3 / (double)(presences ? presences : 1),
           (long long)(due - tally.room_presences));
    print_rest();
}

/* Wait for what is under way, ask for the last acknowledgements, print how many never came. */
static void drain_and_print(const char *what, double offered_per_s)
{
    uint64_t count = after.delivered - before.delivered;
    print_cost(what, count);
    uint64_t give_up = in_s(DRAIN_S);
    while (tally.delivered < tally.due && now_ns() < give_up)
        net_turn(in_s(0.05));
    for (int i = 0; i < conn_count; i++)
        if (conns[i].state == ST_READY && conns[i].sm_acked != conns[i].sm_sent)
            session_request_ack(&conns[i]);
    int unacked = 1;
    give_up = in_s(5);
    while (unacked && now_ns() < give_up) {
        net_turn(in_s(0.02));
        unacked = 0;
        for (int i = 0; i < conn_count; i++)
            unacked += conns[i].state == ST_READY && conns[i].sm_acked != conns[i].sm_sent;
    }
    printf("\"sent\":%llu,\"delivered\":%llu,\"missing\":%lld,\"unacked_sessions\":%d,\"offered_per_s\":%.1f,",
           (unsigned long long)tally.sent, (unsigned long long)tally.delivered,
           (long long)(tally.due - tally.delivered), unacked, offered_per_s);
    print_rest();
}

static const struct kind *saturating; /* NULL: nothing more is to be sent */

static void send_one(const struct kind *kind, struct conn *sender, uint64_t stamp_ns)
{
    sender->outstanding += kind->copies;
    tally.sent++;
    tally.due += kind->copies;
    kind->send(sender, stamp_ns);
}

static void next_one(struct conn *sender)
{
    sender->outstanding--;
    if (saturating && !sender->outstanding)
        send_one(saturating, sender, now_ns());
}

/* As much as the server takes: each of those who send does so when all have got what it sent before. */
void load_saturate(const struct kind *kind, int first, int count, double warm_s, double seconds)
{
    memset(&tally, 0, sizeof tally);
    saturating = kind;
    on_delivered = next_one;
    for (int i = first; i < first + count; i++) {
        conns[i].outstanding = 0;
        if (!kind->senders || (i - first) % kind->group < kind->senders)
            send_one(kind, &conns[i], now_ns());
    }
    serve_until(in_s(warm_s));
    mark_start();
    serve_until(in_s(seconds));
    mark_end();
    saturating = NULL;
    drain_and_print(kind->name, 0);
    on_delivered = NULL;
}

/* Stanzas of these accounts at random times (exponential gaps, the same ones for every server), whatever the server
 * does with them.  Latency counts from the moment a stanza was due, so that a server cannot hide a stall. */
void load_rate(const struct kind *kind, int first, int count, double rate, double warm_s, double seconds)
{
    unsigned short seed[3] = {7, 11, 13};
    memset(&tally, 0, sizeof tally);
    on_delivered = NULL;
    uint64_t start = now_ns(), stop_warm = start + (uint64_t)(warm_s * 1e9);
    uint64_t stop = stop_warm + (uint64_t)(seconds * 1e9);
    double due = (double)start;
    bool warm = true;
    int64_t limit = (int64_t)((rate * 2 + 300) * kind->copies); /* overloaded; no use in going on */
    uint64_t due_before = 0;
    for (;;) {
        uint64_t now = now_ns();
        if (warm && now >= stop_warm) {
            warm = false;
            mark_start();
            due_before = tally.due;
        }
        if (now >= stop || (int64_t)(tally.due - tally.delivered) > limit)
            break;
        while (due <= (double)now) {
            send_one(kind, &conns[first + (int)(erand48(seed) * count)], (uint64_t)due);
            due += -log(1 - erand48(seed)) * 1e9 / rate;
        }
        uint64_t wake = (uint64_t)due;
        if (warm && wake > stop_warm)
            wake = stop_warm;
        net_turn(wake < stop ? wake : stop);
    }
    mark_end();
    drain_and_print("rate", (double)(tally.due - due_before) * 1e9 / (double)(after.time - before.time));
}
