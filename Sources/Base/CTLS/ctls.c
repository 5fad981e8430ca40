#include "CTLS.h"

#include <dlfcn.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is used of the library: its functions by their own types. */
#define FUNCTIONS(F)                                                                                                                          \
    F(TLS_method) F(SSL_CTX_new) F(SSL_CTX_free) F(SSL_CTX_ctrl) F(SSL_CTX_load_verify_locations) F(SSL_CTX_set_default_verify_paths)        \
    F(SSL_CTX_use_certificate_chain_file) F(SSL_CTX_use_PrivateKey_file) F(SSL_CTX_check_private_key) F(SSL_CTX_set_verify)                   \
    F(SSL_load_client_CA_file) F(SSL_CTX_set_client_CA_list) F(SSL_new) F(SSL_free) F(SSL_set_bio) F(SSL_set_accept_state)                    \
    F(SSL_set_connect_state) F(SSL_do_handshake) F(SSL_read) F(SSL_write) F(SSL_shutdown) F(SSL_get_error) F(SSL_ctrl) F(SSL_set1_host)       \
    F(SSL_get0_param) F(SSL_get_verify_result) F(X509_VERIFY_PARAM_set1_ip_asc) F(X509_verify_cert_error_string) F(BIO_new) F(BIO_s_mem)      \
    F(BIO_read) F(BIO_write) F(BIO_ctrl_pending) F(ERR_get_error) F(ERR_error_string_n) F(ERR_clear_error) F(ERR_peek_error)

#define DECLARE(name) static __typeof__(&name) p_##name;
FUNCTIONS(DECLARE)

static pthread_once_t loading = PTHREAD_ONCE_INIT;
static char missing[256];

static void load(void) {
    void *library = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(missing, sizeof missing, "TLS needs OpenSSL 3: %s", dlerror());
        return;
    }
#define FIND(name)                                                                                                                            \
    p_##name = (__typeof__(&name))dlsym(library, #name);                                                                                      \
    if (!p_##name) snprintf(missing, sizeof missing, "libssl.so.3 has no %s", #name);
    FUNCTIONS(FIND)
}

struct ctls_context {
    SSL_CTX *context;
    int is_server;
};

struct ctls_session {
    SSL *ssl;
    /* Owned by ssl. */
    BIO *incoming, *outgoing;
    char reason[256];
};

/* The first of the waiting errors, which is the nearest to its cause. */
static void explain(const char *what, char *reason, size_t size) {
    char text[160] = "no reason given";
    unsigned long error = p_ERR_get_error();
    if (error) p_ERR_error_string_n(error, text, sizeof text);
    p_ERR_clear_error();
    snprintf(reason, size, "%s: %s", what, text);
}

static int configure(SSL_CTX *context, int is_server, int verifies, const char *authorities, const char *certificate, const char *key,
                     char *reason, size_t size) {
    p_SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL);
    if (authorities && p_SSL_CTX_load_verify_locations(context, authorities, NULL) != 1) return explain(authorities, reason, size), -1;
    if (!authorities && !is_server) p_SSL_CTX_set_default_verify_paths(context);
    if (certificate && p_SSL_CTX_use_certificate_chain_file(context, certificate) != 1) return explain(certificate, reason, size), -1;
    if (key && p_SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) return explain(key, reason, size), -1;
    if (certificate && p_SSL_CTX_check_private_key(context) != 1) return explain("the key is not the certificate's", reason, size), -1;
    if (is_server && authorities) p_SSL_CTX_set_client_CA_list(context, p_SSL_load_client_CA_file(authorities));
    p_SSL_CTX_set_verify(context, verifies ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_NONE, NULL);
    return 0;
}

ctls_context *ctls_context_create(int is_server, int verifies, const char *authorities, const char *certificate, const char *key, char *reason,
                                  size_t reason_size) {
    pthread_once(&loading, load);
    if (missing[0]) return snprintf(reason, reason_size, "%s", missing), NULL;
    ctls_context *made = calloc(1, sizeof *made);
    if (!made) return snprintf(reason, reason_size, "no memory"), NULL;
    made->is_server = is_server;
    made->context = p_SSL_CTX_new(p_TLS_method());
    if (!made->context) return explain("make a context", reason, reason_size), free(made), NULL;
    if (configure(made->context, is_server, verifies, authorities, certificate, key, reason, reason_size)) return ctls_context_free(made), NULL;
    return made;
}

void ctls_context_free(ctls_context *context) {
    p_SSL_CTX_free(context->context);
    free(context);
}

ctls_session *ctls_session_create(ctls_context *context, const char *host) {
    ctls_session *made = calloc(1, sizeof *made);
    if (!made) return NULL;
    made->ssl = p_SSL_new(context->context);
    made->incoming = p_BIO_new(p_BIO_s_mem());
    made->outgoing = p_BIO_new(p_BIO_s_mem());
    if (!made->ssl || !made->incoming || !made->outgoing) return free(made), NULL;
    p_SSL_set_bio(made->ssl, made->incoming, made->outgoing);
    if (context->is_server) {
        p_SSL_set_accept_state(made->ssl);
        return made;
    }
    p_SSL_set_connect_state(made->ssl);
    if (host && p_X509_VERIFY_PARAM_set1_ip_asc(p_SSL_get0_param(made->ssl), host) != 1) {
        p_SSL_set1_host(made->ssl, host);
        p_SSL_ctrl(made->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, (void *)host);
    }
    p_ERR_clear_error();
    return made;
}

void ctls_session_free(ctls_session *session) {
    p_SSL_free(session->ssl);
    free(session);
}

static long outcome(ctls_session *session, int code, const char *what) {
    switch (p_SSL_get_error(session->ssl, code)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return CTLS_MORE;
    case SSL_ERROR_ZERO_RETURN: return CTLS_CLOSED;
    default: break;
    }
    long verified = p_SSL_get_verify_result(session->ssl);
    if (verified != X509_V_OK)
        snprintf(session->reason, sizeof session->reason, "the peer's certificate: %s", p_X509_verify_cert_error_string(verified));
    else
        explain(what, session->reason, sizeof session->reason);
    p_ERR_clear_error();
    return CTLS_FAILED;
}

long ctls_receive(ctls_session *session, const void *bytes, size_t count) {
    if (count > 1 << 30 || p_BIO_write(session->incoming, bytes, (int)count) != (int)count) {
        snprintf(session->reason, sizeof session->reason, "no memory");
        return CTLS_FAILED;
    }
    return 0;
}

long ctls_send(ctls_session *session, void *bytes, size_t limit) {
    if (p_BIO_ctrl_pending(session->outgoing) == 0) return 0;
    int count = p_BIO_read(session->outgoing, bytes, limit > 1 << 30 ? 1 << 30 : (int)limit);
    return count < 0 ? 0 : count;
}

long ctls_handshake(ctls_session *session) {
    p_ERR_clear_error();
    int code = p_SSL_do_handshake(session->ssl);
    return code == 1 ? 0 : outcome(session, code, "handshake");
}

long ctls_read(ctls_session *session, void *bytes, size_t limit) {
    p_ERR_clear_error();
    int code = p_SSL_read(session->ssl, bytes, limit > 1 << 30 ? 1 << 30 : (int)limit);
    return code > 0 ? code : outcome(session, code, "read");
}

long ctls_write(ctls_session *session, const void *bytes, size_t count) {
    p_ERR_clear_error();
    if (count == 0) return 0;
    if (count > 1 << 30) return CTLS_FAILED;
    /* Into memory: all of it or an error. */
    int code = p_SSL_write(session->ssl, bytes, (int)count);
    return code > 0 ? 0 : outcome(session, code, "write");
}

void ctls_close(ctls_session *session) {
    p_SSL_shutdown(session->ssl);
    p_ERR_clear_error();
}

const char *ctls_reason(const ctls_session *session) { return session->reason; }
