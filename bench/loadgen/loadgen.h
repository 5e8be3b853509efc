/* The load generator: shared declarations.
 *
 * One thread, one epoll, many XMPP clients over direct TLS.  It must cost far less than the servers it
 * measures, so there is no XML tree: stanzas are cut out of the stream by counting tags (scan.c), and what a
 * measurement must know about a stanza it finds by looking for a few known strings.
 */
#ifndef LOADGEN_H
#define LOADGEN_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ask the server for an acknowledgement (XEP-0198 <r/>) after this many stanzas of our own. */
#define ACK_EVERY 10

/* So many are in one room at most. */
#define ROOM_MAX 128

/* Accounts know each other in groups of at most this many neighbours. */
#define GROUP_MAX 32

enum state {
    ST_CLOSED,
    ST_CONNECTING, /* TCP and TLS handshake */
    ST_FEATURES,   /* waiting for the features before SASL */
    ST_CHALLENGE,
    ST_SUCCESS,
    ST_FEATURES2, /* waiting for the features after SASL */
    ST_BIND,
    ST_SETTLING, /* bound; waiting for roster, carbons, enabled and the ack of the presence */
    ST_READY,
    ST_CLOSING /* </stream:stream> sent */
};

/* What an account knows of the room it is in. */
struct seat {
    int first, size; /* the occupants are these accounts */
    bool entering;
    uint64_t entered_ns;
    uint32_t next_seq;
    uint32_t expected_seq[ROOM_MAX];
    bool seen[ROOM_MAX]; /* whose presence has come */
};

struct conn {
    int fd;
    int index; /* number of the account, 0.. */
    enum state state;
    SSL *ssl;
    bool want_write; /* EPOLLOUT is asked for */
    bool dirty;      /* on the list of connections to flush at the end of this turn */

    char *in; /* an incomplete stanza, carried over to the next read */
    size_t in_len, in_cap;
    char *out;
    size_t out_len, out_cap;
    bool in_stream; /* the peer's stream header was seen */

    char *scram_bare; /* client-first-message-bare */
    unsigned char server_signature[20];
    unsigned settled; /* bits of what has arrived while settling */

    bool sm_on;       /* <enable/> was sent: outgoing stanzas count */
    bool sm_in_on;    /* <enabled/> was seen: incoming stanzas count */
    uint32_t sm_sent; /* stanzas sent, as the server should count them */
    uint32_t sm_received;
    uint32_t sm_acked;
    uint32_t since_request;

    uint32_t next_seq;                /* of the numbered stanza sent next */
    uint32_t expected_seq[GROUP_MAX]; /* of the one to arrive next, by number of the sender modulo GROUP_MAX */
    uint32_t outstanding;             /* deliveries of our numbered stanzas still to come, in load_saturate */
    uint32_t contacts;                /* bits as above: a roster push said that the subscription is "both" */
    uint64_t started_ns;              /* start of the log-in */
    struct seat *seat;                /* NULL: never was in a room */
};

struct options {
    const char *host;
    int port;
    const char *domain;
    const char *password;
    const char *scram_cache; /* file with salted passwords, or NULL */
};

/* What arrives and what went wrong, since the last reset. */
struct tally {
    uint64_t sent; /* numbered stanzas */
    uint64_t due;  /* deliveries to be expected of them */
    uint64_t delivered;
    uint64_t doubled, disordered, malformed;
    uint64_t logged_in, login_failed, disconnected, stanza_errors;
    uint64_t rooms_made, entered, room_presences;
};

/* A kind of numbered stanza: how one is sent, how often it is to arrive, and at saturation by the first how many of
 * each group (0: by all). */
struct kind {
    const char *name;
    void (*send)(struct conn *sender, uint64_t stamp_ns);
    uint32_t copies;
    int senders, group;
};

extern struct options options;
extern struct tally tally;
extern struct conn *conns;
extern int conn_count;
extern char tls_name[96]; /* version and cipher of the last handshake */

/* clock.c: time, CPU of the servers, latencies */
uint64_t now_ns(void);
void watch_pids(const char *list);
uint64_t server_cpu_ns(void);
uint64_t own_cpu_ns(void);
void latency_reset(void);
void latency_add(uint64_t ns);
double latency_ms(double quantile);
double latency_mean_ms(void);

/* net.c: sockets, TLS, the event loop */
void net_init(void);
int net_reserve(int count);
bool net_open(struct conn *c);
void net_abort(struct conn *c);
void net_send(struct conn *c, const char *data, size_t len);
void net_printf(struct conn *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool net_turn(uint64_t until_ns); /* one turn of the loop; true if a command is waiting on stdin */

/* scan.c: cutting stanzas out of a stream */
size_t scan(struct conn *c, const char *data, size_t len);
bool has(const char *data, size_t len, const char *what);
const char *find(const char *data, size_t len, const char *what);
size_t attribute(const char *tag, size_t len, const char *name, char *value, size_t size);

/* scram.c */
void scram_load(void);
void scram_save(void);
void scram_first(struct conn *c, char *out, size_t size);
bool scram_answer(struct conn *c, const char *challenge, size_t len, char *out, size_t size);
bool scram_verify(struct conn *c, const char *success, size_t len);

/* session.c: a client's life */
void session_connected(struct conn *c);
void session_stream_opened(struct conn *c);
void session_stream_closed(struct conn *c);
void session_stanza(struct conn *c, const char *data, size_t len);
void session_lost(struct conn *c);
void session_close(struct conn *c);
void session_message(struct conn *c, uint64_t stamp_ns);
void session_presence(struct conn *c, uint64_t stamp_ns);
void session_numbered(struct conn *c, const char *mark, size_t len);
void session_sent(struct conn *c, uint32_t stanzas);
void session_request_ack(struct conn *c);
void session_subscribe(struct conn *c, int other);

/* rooms.c: group chat */
void room_take_seat(struct conn *c, int first, int size);
void room_make(struct conn *c, const char *settings);
void room_enter(struct conn *c);
bool room_presence(struct conn *c, const char *data, size_t len);
void room_subject(struct conn *c);
void room_configured(struct conn *c);
void room_message(struct conn *c, uint64_t stamp_ns);

/* load.c: the measurements; on_delivered is called for each numbered stanza that arrives */
extern void (*on_delivered)(struct conn *sender);
void load_login(int first, int count, int concurrency);
void load_logout(int first, int count);
void load_befriend(int first, int count, int group);
void load_enter(int first, int count, int size, int concurrency, const char *settings);
void load_saturate(const struct kind *kind, int first, int count, double warm_s, double seconds);
void load_rate(const struct kind *kind, int first, int count, double rate, double warm_s, double seconds);

#endif
