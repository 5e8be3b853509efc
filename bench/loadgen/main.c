/* loadgen: reads commands, one a line, from stdin; answers each with one line of JSON.
 *
 *   pids PID...                               measure the CPU time of these processes
 *   login FIRST COUNT CONCURRENCY             open sessions of the accounts FIRST.. (u00000@DOMAIN and so on)
 *   logout FIRST COUNT
 *   befriend FIRST COUNT GROUP                mutual subscription in groups of so many neighbours
 *   messages PAIRS WARM_S SECONDS             at saturation, between the accounts 2n and 2n+1
 *   presence FIRST COUNT GROUP WARM_S SECONDS at saturation, to all of the group
 *   rate PAIRS PER_S WARM_S SECONDS           messages at a fixed rate
 *   presence-rate FIRST COUNT GROUP PER_S WARM_S SECONDS
 *   enter FIRST COUNT SIZE CONCURRENCY VAR=VALUE...
 *                                             rooms of SIZE neighbours, with these settings, and all enter theirs
 *   groupchat FIRST COUNT SIZE SENDERS WARM_S SECONDS
 *                                             at saturation, to all in the room, by the first SENDERS of each
 *   groupchat-rate FIRST COUNT SIZE PER_S WARM_S SECONDS
 *   cpu                                       CPU seconds so far, of the servers and of the generator
 *   quit
 * Between commands the sessions are served (acknowledgements, pings).
 */
#include "loadgen.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options options;
struct tally tally;
struct conn *conns;
int conn_count;

static void bad(const char *line)
{
    printf("{\"what\":\"error\",\"text\":\"bad command: %s\"}\n", line);
    fflush(stdout);
}

static bool in_range(int first, int count)
{
    return first >= 0 && count > 0 && first + count <= conn_count;
}

static bool in_groups(int first, int count, int group)
{
    return in_range(first, count) && group > 1 && group <= GROUP_MAX && count % group == 0;
}

static bool in_rooms(int first, int count, int size)
{
    return in_range(first, count) && size > 1 && size <= ROOM_MAX && count % size == 0;
}

static bool are_in_rooms(int first, int count, int size)
{
    bool seated = in_rooms(first, count, size);
    for (int i = first; seated && i < first + count; i++)
        seated = conns[i].seat && conns[i].seat->size == size;
    return seated;
}

static void command(const char *line)
{
    struct kind messages = {"messages", session_message, 1, 0, 0};
    struct kind presences = {"presence", session_presence, 0, 0, 0};
    struct kind groupchat = {"groupchat", room_message, 0, 0, 0};
    int first, count, extra, at = 0;
    unsigned copies;
    double a, b, c;
    if (!strncmp(line, "pids ", 5)) {
        watch_pids(line + 5);
        printf("{\"what\":\"pids\"}\n");
    } else if (sscanf(line, "login %d %d %d", &first, &count, &extra) == 3 && in_range(first, count)) {
        load_login(first, count, extra);
    } else if (sscanf(line, "logout %d %d", &first, &count) == 2 && in_range(first, count)) {
        load_logout(first, count);
    } else if (sscanf(line, "befriend %d %d %d", &first, &count, &extra) == 3 && in_groups(first, count, extra)) {
        load_befriend(first, count, extra);
    } else if (sscanf(line, "messages %d %lf %lf", &count, &a, &b) == 3 && in_range(0, 2 * count)) {
        load_saturate(&messages, 0, 2 * count, a, b);
    } else if (sscanf(line, "presence %d %d %u %lf %lf", &first, &count, &copies, &a, &b) == 5
               && in_groups(first, count, (int)copies)) {
        presences.copies = copies - 1;
        load_saturate(&presences, first, count, a, b);
    } else if (sscanf(line, "rate %d %lf %lf %lf", &count, &a, &b, &c) == 4 && in_range(0, 2 * count)) {
        load_rate(&messages, 0, 2 * count, a, b, c);
    } else if (sscanf(line, "presence-rate %d %d %u %lf %lf %lf", &first, &count, &copies, &a, &b, &c) == 6
               && in_groups(first, count, (int)copies)) {
        presences.copies = copies - 1;
        load_rate(&presences, first, count, a, b, c);
    } else if (sscanf(line, "enter %d %d %u %d %n", &first, &count, &copies, &extra, &at) == 4
               && in_rooms(first, count, (int)copies)) {
        load_enter(first, count, (int)copies, extra, line + at);
    } else if (sscanf(line, "groupchat %d %d %u %d %lf %lf", &first, &count, &groupchat.copies, &groupchat.senders,
                      &a, &b) == 6
               && are_in_rooms(first, count, (int)groupchat.copies)) {
        groupchat.group = (int)groupchat.copies;
        load_saturate(&groupchat, first, count, a, b);
    } else if (sscanf(line, "groupchat-rate %d %d %u %lf %lf %lf", &first, &count, &groupchat.copies, &a, &b, &c) == 6
               && are_in_rooms(first, count, (int)groupchat.copies)) {
        load_rate(&groupchat, first, count, a, b, c);
    } else if (!strcmp(line, "cpu")) {
        printf("{\"what\":\"cpu\",\"server_s\":%.6f,\"generator_s\":%.6f}\n", (double)server_cpu_ns() / 1e9,
               (double)own_cpu_ns() / 1e9);
    } else {
        bad(line);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char pending[1024];
    size_t have = 0;
    if (argc != 6 && argc != 7) {
        fprintf(stderr, "usage: loadgen HOST PORT DOMAIN PASSWORD ACCOUNTS [SCRAM-CACHE]\n");
        return 2;
    }
    options.host = argv[1];
    options.port = atoi(argv[2]);
    options.domain = argv[3];
    options.password = argv[4];
    options.scram_cache = argc == 7 ? argv[6] : NULL;
    signal(SIGPIPE, SIG_IGN);
    net_init();
    net_reserve(atoi(argv[5]));
    scram_load();
    for (;;) {
        if (!net_turn(now_ns() + 1000000000u))
            continue;
        ssize_t n = read(STDIN_FILENO, pending + have, sizeof pending - have - 1);
        if (n <= 0)
            return 0;
        have += (size_t)n;
        pending[have] = 0;
        char *newline;
        while ((newline = strchr(pending, '\n'))) {
            *newline = 0;
            if (!strcmp(pending, "quit"))
                return 0;
            command(pending);
            have -= (size_t)(newline + 1 - pending);
            memmove(pending, newline + 1, have + 1);
        }
    }
}
