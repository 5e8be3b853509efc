/* Cutting stanzas out of a stream by counting tags.
 *
 * Good enough for what an XMPP server sends: no comments, DTDs, processing instructions or CDATA inside the
 * stream (RFC 6120, 11.1).  Anything else is counted as malformed, which makes the run invalid.
 */
#define _GNU_SOURCE
#include "loadgen.h"

#include <string.h>

const char *find(const char *data, size_t len, const char *what)
{
    return memmem(data, len, what, strlen(what));
}

bool has(const char *data, size_t len, const char *what)
{
    return find(data, len, what) != NULL;
}

/* The position behind the '>' that ends the tag starting at p, or NULL if it is not there yet. */
static const char *tag_end(const char *p, const char *end)
{
    char quote = 0;
    for (p++; p < end; p++) {
        if (quote) {
            if (*p == quote)
                quote = 0;
        } else if (*p == '>') {
            return p + 1;
        } else if (*p == '"' || *p == '\'') {
            quote = *p;
        }
    }
    return NULL;
}

/* Copy the value of an attribute of the start tag at `tag`; 0 if it is not there. No entities are resolved. */
size_t attribute(const char *tag, size_t len, const char *name, char *value, size_t size)
{
    size_t name_len = strlen(name);
    const char *end = tag_end(tag, tag + len), *p = tag;
    value[0] = 0;
    if (!end)
        return 0;
    while ((p = memmem(p, (size_t)(end - p), name, name_len))) {
        const char *after = p + name_len;
        if (p > tag && (p[-1] == ' ' || p[-1] == '\n') && after + 1 < end && *after == '=') {
            const char *close = memchr(after + 2, after[1], (size_t)(end - after - 2));
            if (!close)
                return 0;
            size_t n = (size_t)(close - after - 2);
            if (n >= size)
                n = size - 1;
            memcpy(value, after + 2, n);
            value[n] = 0;
            return n;
        }
        p = after;
    }
    return 0;
}

/* Hand each complete element of the first level to the session; returns the number of bytes used up. */
size_t scan(struct conn *c, const char *data, size_t len)
{
    const char *end = data + len, *p = data, *start = data;
    int depth = 0;

    while (p < end) {
        const char *lt = memchr(p, '<', (size_t)(end - p));
        if (!lt) {
            if (depth == 0)
                start = end; /* white space between stanzas */
            break;
        }
        if (depth == 0)
            start = lt;
        const char *gt = tag_end(lt, end);
        if (!gt)
            break;
        p = gt;
        if (lt[1] == '?') { /* <?xml version='1.0'?> */
            start = p;
        } else if (lt[1] == '!') {
            tally.malformed++;
        } else if (lt[1] == '/') {
            if (depth == 0) {
                start = p;
                session_stream_closed(c);
                if (c->state == ST_CLOSED)
                    return len;
                continue;
            }
            if (--depth == 0) {
                session_stanza(c, start, (size_t)(p - start));
                start = p;
            }
        } else if (!c->in_stream) {
            c->in_stream = true;
            start = p;
            session_stream_opened(c);
        } else if (gt[-2] == '/') {
            if (depth == 0) {
                session_stanza(c, start, (size_t)(p - start));
                start = p;
            }
        } else {
            depth++;
        }
        if (c->state == ST_CLOSED)
            return len;
    }
    return (size_t)(start - data);
}
