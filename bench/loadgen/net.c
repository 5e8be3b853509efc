/* Sockets, TLS and the event loop: OpenSSL on non-blocking sockets, one epoll.
 *
 * What a session writes during a turn leaves at the end of the turn in one TLS record, as from a client that
 * answers what it has read.
 */
#define _GNU_SOURCE
#include "loadgen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 256

static int epoll_fd;
static SSL_CTX *context;
static struct conn **dirty;
static int dirty_count;
static char read_buffer[65536];
static struct sockaddr_in server_address;

char tls_name[96];

void net_init(void)
{
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
                                  | SSL_MODE_RELEASE_BUFFERS);
    /* One cipher and one group, so that every server does the same arithmetic. */
    SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384");
    SSL_CTX_set1_groups_list(context, "X25519");
    static const unsigned char alpn[] = "\x0bxmpp-client";
    SSL_CTX_set_alpn_protos(context, alpn, sizeof alpn - 1);

    server_address.sin_family = AF_INET;
    server_address.sin_port = htons((uint16_t)options.port);
    inet_pton(AF_INET, options.host, &server_address.sin_addr);

    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event);
}

/* Make room for that many accounts; connections that are open stay. Only before the first one opens. */
int net_reserve(int count)
{
    if (count <= conn_count)
        return 0;
    for (int i = 0; i < conn_count; i++)
        if (conns[i].state != ST_CLOSED)
            return -1; /* their addresses are in epoll */
    conns = realloc(conns, (size_t)count * sizeof *conns);
    dirty = realloc(dirty, (size_t)count * sizeof *dirty);
    if (!conns || !dirty)
        abort();
    memset(conns + conn_count, 0, (size_t)(count - conn_count) * sizeof *conns);
    for (int i = conn_count; i < count; i++) {
        conns[i].index = i;
        conns[i].fd = -1;
    }
    conn_count = count;
    return 0;
}

bool net_open(struct conn *c)
{
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return false;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&server_address, sizeof server_address) && errno != EINPROGRESS) {
        close(c->fd);
        c->fd = -1;
        return false;
    }
    c->ssl = SSL_new(context);
    SSL_set_fd(c->ssl, c->fd);
    SSL_set_connect_state(c->ssl);
    SSL_set_tlsext_host_name(c->ssl, options.domain);
    c->state = ST_CONNECTING;
    c->in_len = c->out_len = 0;
    c->in_stream = false;
    c->want_write = true;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
    return true;
}

/* Close at once and tell the session. */
void net_abort(struct conn *c)
{
    if (c->fd < 0)
        return;
    SSL_free(c->ssl);
    c->ssl = NULL;
    close(c->fd);
    c->fd = -1;
    c->in_len = c->out_len = 0;
    session_lost(c);
    c->state = ST_CLOSED;
}

static void ask_for_write(struct conn *c, bool want)
{
    if (c->want_write == want)
        return;
    c->want_write = want;
    struct epoll_event event = {.events = EPOLLIN | (want ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

static bool handshake(struct conn *c)
{
    int socket_error = 0;
    socklen_t size = sizeof socket_error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &socket_error, &size);
    ERR_clear_error();
    int done = socket_error ? -1 : SSL_do_handshake(c->ssl);
    if (done == 1) {
        ask_for_write(c, false);
        snprintf(tls_name, sizeof tls_name, "%s %s", SSL_get_version(c->ssl), SSL_get_cipher_name(c->ssl));
        session_connected(c);
        return true;
    }
    int why = socket_error ? SSL_ERROR_SYSCALL : SSL_get_error(c->ssl, done);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        ask_for_write(c, why == SSL_ERROR_WANT_WRITE);
    else
        net_abort(c);
    return false;
}

static void grow(char **buffer, size_t *cap, size_t need)
{
    if (need <= *cap)
        return;
    while (*cap < need)
        *cap = *cap ? *cap * 2 : 1024;
    *buffer = realloc(*buffer, *cap);
    if (!*buffer)
        abort();
}

void net_send(struct conn *c, const char *data, size_t len)
{
    if (c->fd < 0)
        return;
    grow(&c->out, &c->out_cap, c->out_len + len);
    memcpy(c->out + c->out_len, data, len);
    c->out_len += len;
    if (!c->dirty) {
        c->dirty = true;
        dirty[dirty_count++] = c;
    }
}

void net_printf(struct conn *c, const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    net_send(c, text, (size_t)n);
}

static void flush(struct conn *c)
{
    size_t done = 0;
    if (c->fd < 0 || c->state == ST_CONNECTING)
        return;
    while (done < c->out_len) {
        ERR_clear_error();
        int n = SSL_write(c->ssl, c->out + done, (int)(c->out_len - done));
        if (n <= 0) {
            int why = SSL_get_error(c->ssl, n);
            if (why != SSL_ERROR_WANT_WRITE && why != SSL_ERROR_WANT_READ) {
                net_abort(c);
                return;
            }
            break;
        }
        done += (size_t)n;
    }
    memmove(c->out, c->out + done, c->out_len - done);
    c->out_len -= done;
    ask_for_write(c, c->out_len > 0);
}

static void flush_all(void)
{
    for (int i = 0; i < dirty_count; i++) {
        dirty[i]->dirty = false;
        flush(dirty[i]);
    }
    dirty_count = 0;
}

static void take(struct conn *c, const char *data, size_t len)
{
    if (c->in_len) {
        grow(&c->in, &c->in_cap, c->in_len + len);
        memcpy(c->in + c->in_len, data, len);
        c->in_len += len;
        size_t used = scan(c, c->in, c->in_len);
        if (c->state == ST_CLOSED)
            return;
        memmove(c->in, c->in + used, c->in_len - used);
        c->in_len -= used;
        return;
    }
    size_t used = scan(c, data, len);
    if (c->state == ST_CLOSED || used == len)
        return;
    grow(&c->in, &c->in_cap, len - used);
    memcpy(c->in, data + used, len - used);
    c->in_len = len - used;
}

static void readable(struct conn *c)
{
    while (c->fd >= 0) {
        ERR_clear_error();
        int n = SSL_read(c->ssl, read_buffer, sizeof read_buffer);
        if (n > 0) {
            take(c, read_buffer, (size_t)n);
            if (c->fd >= 0 && !SSL_pending(c->ssl) && n < 4096)
                return; /* level-triggered: if there is more, epoll says so */
            continue;
        }
        int why = SSL_get_error(c->ssl, n);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
            net_abort(c);
        return;
    }
}

bool net_turn(uint64_t until_ns)
{
    struct epoll_event events[EVENTS];
    flush_all();
    uint64_t now = now_ns();
    uint64_t wait = until_ns > now ? until_ns - now : 0;
    struct timespec timeout = {(time_t)(wait / 1000000000u), (long)(wait % 1000000000u)};
    int n = epoll_pwait2(epoll_fd, events, EVENTS, &timeout, NULL);
    bool command = false;
    for (int i = 0; i < n; i++) {
        struct conn *c = events[i].data.ptr;
        if (!c) {
            command = true;
            continue;
        }
        if (c->fd < 0)
            continue;
        if (c->state == ST_CONNECTING && !handshake(c))
            continue;
        if (events[i].events & EPOLLOUT)
            flush(c);
        if (c->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            readable(c);
    }
    flush_all();
    return command;
}
