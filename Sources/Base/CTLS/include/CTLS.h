#ifndef CTLS_H
#define CTLS_H

#include <stddef.h>

/* TLS by OpenSSL between buffers: no socket is touched. libssl is loaded by the first context, so that who speaks no TLS does without it.
   A call returns what its comment says, or one of these. */
enum {
    CTLS_MORE = -1,   /* the peer has to say more first */
    CTLS_CLOSED = -2, /* the peer has ended its side in good order */
    CTLS_FAILED = -3, /* see ctls_reason */
};

typedef struct ctls_context ctls_context;
typedef struct ctls_session ctls_session;

/* A context for servers or clients, or NULL with the reason in `reason`. Paths of PEM files may be NULL: without `authorities` the peer
   need not prove itself to a server, and to a client must do so by the machine's own authorities. */
ctls_context *ctls_context_create(int is_server, int verifies, const char *authorities, const char *certificate, const char *key, char *reason,
                                  size_t reason_size);
void ctls_context_free(ctls_context *context);

/* One connection; `host` is whom a client means to reach, a name or an address. */
ctls_session *ctls_session_create(ctls_context *context, const char *host);
void ctls_session_free(ctls_session *session);

/* Takes bytes that came from the peer: all of them, so 0. */
long ctls_receive(ctls_session *session, const void *bytes, size_t count);
/* Takes out bytes for the peer: how many there were. */
long ctls_send(ctls_session *session, void *bytes, size_t limit);
/* 0 once the peer is known. */
long ctls_handshake(ctls_session *session);
/* How many bytes the peer said. */
long ctls_read(ctls_session *session, void *bytes, size_t limit);
/* Says all of the bytes: 0. */
long ctls_write(ctls_session *session, const void *bytes, size_t count);
/* Ends our side in good order. */
void ctls_close(ctls_session *session);
/* Why the last call failed. */
const char *ctls_reason(const ctls_session *session);

#endif
