/* The client's half of SCRAM-SHA-1 (RFC 5802), with the expensive part kept in a file.
 *
 * The salted password (thousands of HMACs) depends on password, salt and iteration count only; a real client
 * keeps it too.  What is left for a log-in is four HMACs.
 */
#define _GNU_SOURCE
#include "loadgen.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct salted {
    char *salt; /* as on the wire: base64 */
    int iterations;
    unsigned char password[20];
};

static struct salted *known;
static size_t known_count, known_cap;
static bool known_changed;

static int from_base64(const char *text, size_t len, unsigned char *out, size_t size)
{
    if (len % 4 || len / 4 * 3 > size)
        return -1;
    int n = EVP_DecodeBlock(out, (const unsigned char *)text, (int)len);
    while (n > 0 && len && text[len - 1] == '=') {
        n--;
        len--;
    }
    return n;
}

static void to_base64(const void *data, size_t len, char *out)
{
    EVP_EncodeBlock((unsigned char *)out, data, (int)len);
}

static void hmac(const unsigned char key[20], const void *data, size_t len, unsigned char out[20])
{
    unsigned n = 20;
    HMAC(EVP_sha1(), key, 20, data, len, out, &n);
}

static struct salted *remember(const char *salt, int iterations)
{
    if (known_count == known_cap) {
        known_cap = known_cap ? known_cap * 2 : 1024;
        known = realloc(known, known_cap * sizeof *known);
        if (!known)
            abort();
    }
    struct salted *s = &known[known_count++];
    s->salt = strdup(salt);
    s->iterations = iterations;
    return s;
}

/* Accounts are visited in order, so the entry asked for is nearly always the one after the last one found. */
static const unsigned char *salted_password(const char *salt, int iterations)
{
    static size_t last;
    for (size_t i = 0; i < known_count; i++) {
        size_t at = (last + i) % known_count;
        if (known[at].iterations == iterations && !strcmp(known[at].salt, salt)) {
            last = at + 1;
            return known[at].password;
        }
    }
    unsigned char raw[192];
    int n = from_base64(salt, strlen(salt), raw, sizeof raw);
    if (n <= 0)
        return NULL;
    struct salted *s = remember(salt, iterations);
    PKCS5_PBKDF2_HMAC_SHA1(options.password, -1, raw, n, iterations, 20, s->password);
    known_changed = true;
    return s->password;
}

void scram_load(void)
{
    FILE *f = options.scram_cache ? fopen(options.scram_cache, "r") : NULL;
    char salt[256], hex[41];
    int iterations;
    if (!f)
        return;
    while (fscanf(f, "%255s %d %40s", salt, &iterations, hex) == 3) {
        struct salted *s = remember(salt, iterations);
        for (int i = 0; i < 20; i++) {
            unsigned byte = 0;
            sscanf(hex + 2 * i, "%2x", &byte);
            s->password[i] = (unsigned char)byte;
        }
    }
    fclose(f);
}

void scram_save(void)
{
    if (!known_changed || !options.scram_cache)
        return;
    FILE *f = fopen(options.scram_cache, "w");
    if (!f)
        return;
    for (size_t k = 0; k < known_count; k++) {
        fprintf(f, "%s %d ", known[k].salt, known[k].iterations);
        for (int i = 0; i < 20; i++)
            fprintf(f, "%02x", known[k].password[i]);
        fputc('\n', f);
    }
    fclose(f);
    known_changed = false;
}

/* The initial response, base64; keeps client-first-message-bare. */
void scram_first(struct conn *c, char *out, size_t size)
{
    unsigned char random[12];
    char nonce[20], bare[64], message[80];
    RAND_bytes(random, sizeof random);
    to_base64(random, sizeof random, nonce);
    snprintf(bare, sizeof bare, "n=u%05d,r=%s", c->index, nonce);
    snprintf(message, sizeof message, "n,,%s", bare);
    free(c->scram_bare);
    c->scram_bare = strdup(bare);
    if (size > strlen(message) * 4 / 3 + 4)
        to_base64(message, strlen(message), out);
}

/* The response to <challenge>base64</challenge>, base64; false if the challenge is not one. */
bool scram_answer(struct conn *c, const char *challenge, size_t len, char *out, size_t size)
{
    char server_first[512], salt[256], nonce[256], final[320], message[1200];
    int iterations;
    const char *start = memchr(challenge, '>', len);
    if (!start)
        return false;
    start++;
    const char *stop = memchr(start, '<', len - (size_t)(start - challenge));
    if (!stop)
        return false;
    int n = from_base64(start, (size_t)(stop - start), (unsigned char *)server_first, sizeof server_first - 1);
    if (n <= 0)
        return false;
    server_first[n] = 0;
    if (sscanf(server_first, "r=%255[^,],s=%255[^,],i=%d", nonce, salt, &iterations) != 3)
        return false;
    const unsigned char *salted = salted_password(salt, iterations);
    if (!salted)
        return false;

    unsigned char client_key[20], stored_key[20], signature[20], server_key[20], proof[20];
    char proof64[32];
    unsigned length = 20;
    snprintf(final, sizeof final, "c=biws,r=%s", nonce);
    int m = snprintf(message, sizeof message, "%s,%s,%s", c->scram_bare, server_first, final);
    hmac(salted, "Client Key", 10, client_key);
    EVP_Digest(client_key, 20, stored_key, &length, EVP_sha1(), NULL);
    hmac(stored_key, message, (size_t)m, signature);
    for (int i = 0; i < 20; i++)
        proof[i] = client_key[i] ^ signature[i];
    hmac(salted, "Server Key", 10, server_key);
    hmac(server_key, message, (size_t)m, c->server_signature);
    to_base64(proof, 20, proof64);
    m = snprintf(message, sizeof message, "%s,p=%s", final, proof64);
    if (size < (size_t)m * 4 / 3 + 5)
        return false;
    to_base64(message, (size_t)m, out);
    return true;
}

/* Does <success>base64 of v=…</success> carry the right server signature? */
bool scram_verify(struct conn *c, const char *success, size_t len)
{
    char expected[40] = "v=", wire[64];
    to_base64(c->server_signature, 20, expected + 2);
    to_base64(expected, strlen(expected), wire);
    free(c->scram_bare);
    c->scram_bare = NULL;
    return has(success, len, wire);
}
