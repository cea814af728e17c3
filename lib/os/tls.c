/*
 * tls - TLS 1.2 and 1.3 for who listens, by OpenSSL, without blocking
 *
 * What was read from the files at one time is a struct tls_set, which a session
 * holds for as long as it lives: a reload puts another in its place, and
 * touches no session.
 *
 * OpenSSL is not told to read ahead.  So what it has and epoll does not know of
 * is the rest of one record that it has decrypted, and tls_recv() leaves none
 * behind unless it has filled all the room.
 */
#include "tls.h"

#include "clock.h"
#include "digest.h"
#include "file.h"
#include "mem.h"

#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#define FILE_BYTES (1u << 20)
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"	/* of TLS 1.2; all of 1.3 are as good */
#define TICKET_S (2 * 3600)		/* that a session may be resumed */
#define TICKET_MS (UINT64_C(1000) * TICKET_S)
#define CLIENT_NAME_BYTES 255
/* Who has more to say sends it in records that are not smaller. */
#define LARGE_RECORD 4096

/* How a file looks from outside. */
struct stamp {
	struct timespec modified, changed;
	uint64_t device, inode, size;
};

struct certificate {
	SSL_CTX *ssl;
	GENERAL_NAMES *names;		/* NULL: it has none */
};

/* What was read from the files at one time. */
struct tls_set {
	atomic_uint users;
	int64_t expires;
	size_t count;
	struct certificate list[];
};

/* What a ticket is sealed with. */
struct ticket_key {
	unsigned char name[16], cipher[32], mac[32];
	uint64_t made;			/* ms, clock_boot_ms(); 0: never */
};

struct tls_context {
	struct tls_options options;
	pthread_mutex_t mutex;		/* of set and tickets */
	struct tls_set *set;
	struct ticket_key tickets[2];	/* that of today, and the one before */
	struct stamp *stamps;		/* as they were when they were read last, to good purpose or not */
};

struct tls {
	SSL *ssl;
	struct tls_context *context;
	struct tls_set *set;
	char *client;			/* its name, once somebody has asked for it */
	bool wants_to_send;
	bool broken;			/* OpenSSL must not be asked any more */
	bool ended;			/* that all was said was sent */
};

/* errors */

/* OpenSSL's reason is the first that it has noted: those behind it tell who passed it on. */
static int err_openssl(struct err *err, enum err_kind kind, const char *what)
{
	unsigned long code = ERR_peek_error();
	const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);

	ERR_clear_error();
	return err_set(err, kind, "%s: %s", what, reason != NULL ? reason : "OpenSSL does not say why");
}

static void must_succeed(bool ok)
{
	if (!ok)
		abort();	/* memory */
}

/* tickets */

static void ticket_key_make(struct ticket_key *key, uint64_t now)
{
	must_succeed(RAND_bytes(key->name, sizeof key->name) == 1 &&
		     RAND_priv_bytes(key->cipher, sizeof key->cipher) == 1 &&
		     RAND_priv_bytes(key->mac, sizeof key->mac) == 1);
	key->made = now;
}

/* Today's key; made anew when it is old, which nobody needs to wake up for. */
static struct ticket_key ticket_key_now(struct tls_context *context)
{
	uint64_t now = clock_boot_ms();
	struct ticket_key *keys = context->tickets, key;

	pthread_mutex_lock(&context->mutex);
	if (keys[0].made == 0 || now - keys[0].made >= TICKET_MS) {
		keys[1] = keys[0];
		ticket_key_make(&keys[0], now);
	}
	key = keys[0];
	pthread_mutex_unlock(&context->mutex);
	return key;
}

/* The key of this name, as long as a ticket by it may be good. */
static bool ticket_key_find(struct tls_context *context, const unsigned char name[16], struct ticket_key *ret)
{
	uint64_t now = clock_boot_ms();
	bool found = false;

	pthread_mutex_lock(&context->mutex);
	for (size_t i = 0; i < 2 && !found; i++) {
		const struct ticket_key *key = &context->tickets[i];

		found = key->made != 0 && now - key->made < 2 * TICKET_MS &&
			memcmp(key->name, name, sizeof key->name) == 0;
		if (found)
			*ret = *key;
	}
	pthread_mutex_unlock(&context->mutex);
	return found;
}

static bool ticket_mac_init(EVP_MAC_CTX *mac, struct ticket_key *key)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof key->mac),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* As SSL_CTX_set_tlsext_ticket_key_evp_cb(3) wants it: 1, 0: not one of ours, -1. */
static int ticket_on_key(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
			 EVP_MAC_CTX *mac, int seal)
{
	struct tls *tls = SSL_get_app_data(ssl);
	struct ticket_key key;
	bool done;

	if (seal) {
		key = ticket_key_now(tls->context);
		memcpy(name, key.name, sizeof key.name);
		done = RAND_bytes(iv, EVP_MAX_IV_LENGTH) == 1 &&
		       EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv) == 1;
	} else if (ticket_key_find(tls->context, name, &key)) {
		done = EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv) == 1;
	} else {
		return 0;
	}
	done = done && ticket_mac_init(mac, &key);
	explicit_bzero(&key, sizeof key);
	return done ? 1 : -1;
}

/* which certificate */

bool tls_name_matches(struct str name, struct str host)
{
	struct str label;

	if (host.n > 0 && host.s[host.n - 1] == '.')
		host.n--;
	if (host.n == 0 || name.n == 0)
		return false;
	if (!str_starts(name, STR("*.")))
		return str_eq_nocase(name, host);
	/* A star stands for one label, whole (RFC 6125, section 6.4.3). */
	name = (struct str){ name.s + 2, name.n - 2 };
	return str_cut(&host, '.', &label) && label.n > 0 && host.n > 0 && str_eq_nocase(name, host);
}

static bool certificate_is_for(const struct certificate *certificate, struct str host, bool by_star)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(certificate->names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(certificate->names, i);
		struct str text;

		if (name->type != GEN_DNS)
			continue;
		text = (struct str){ (const char *)ASN1_STRING_get0_data(name->d.dNSName),
				     (size_t)ASN1_STRING_length(name->d.dNSName) };
		if (str_starts(text, STR("*.")) == by_star && tls_name_matches(text, host))
			return true;
	}
	return false;
}

/* The one that names it, before one with a star. */
static const struct certificate *set_choose(const struct tls_set *set, struct str host)
{
	for (int by_star = 0; by_star < 2; by_star++)
		for (size_t i = 0; i < set->count; i++)
			if (certificate_is_for(&set->list[i], host, by_star))
				return &set->list[i];
	return &set->list[0];
}

static int certificate_on_name(SSL *ssl, int *alert, void *data)
{
	struct tls *tls = SSL_get_app_data(ssl);
	const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	(void)data;
	if (host == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	if (tls->set->count > 1)
		SSL_set_SSL_CTX(ssl, set_choose(tls->set, str_of(host))->ssl);
	return SSL_TLSEXT_ERR_OK;
}

/* RFC 7301: a client that speaks neither is told so. */
static int protocol_on_offer(SSL *ssl, const unsigned char **ret, unsigned char *ret_n,
			     const unsigned char *offer, unsigned n, void *data)
{
	static const unsigned char ours[] = "\010http/1.1\010http/1.0";
	unsigned char *chosen = NULL;

	(void)ssl;
	(void)data;
	if (SSL_select_next_proto(&chosen, ret_n, ours, sizeof ours - 1, offer, n) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* reading the files */

static int no_passphrase(char *to, int room, int writing, void *data)
{
	(void)to;
	(void)room;
	(void)writing;
	(void)data;
	return -1;
}

/* What PEM has that is no more to be found is no error. */
static bool pem_is_over(void)
{
	unsigned long code = ERR_peek_last_error();
	bool over = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;

	if (over)
		ERR_clear_error();
	return over;
}

static BIO *bio_of(struct str text)
{
	BIO *bio = BIO_new_mem_buf(text.s, (int)text.n);

	must_succeed(bio != NULL);
	return bio;
}

/* The certificate itself and, behind it, its chain. */
static int context_take_chain(SSL_CTX *ssl, struct str text, const char *file, struct err *err)
{
	BIO *bio = bio_of(text);
	X509 *x509 = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL);
	bool done = x509 != NULL && SSL_CTX_use_certificate(ssl, x509) == 1;

	X509_free(x509);
	while (done && (x509 = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
		done = SSL_CTX_add0_chain_cert(ssl, x509) == 1;
		if (!done)
			X509_free(x509);
	}
	done = done && pem_is_over();
	BIO_free(bio);
	return done ? 0 : err_openssl(err, ERR_INVALID, file);
}

static int context_take_key(SSL_CTX *ssl, struct str text, const char *file, struct err *err)
{
	BIO *bio = bio_of(text);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	/* Which fails, too, when it is not the certificate's. */
	bool done = key != NULL && SSL_CTX_use_PrivateKey(ssl, key) == 1;

	EVP_PKEY_free(key);
	BIO_free(bio);
	return done ? 0 : err_openssl(err, ERR_INVALID, file);
}

/* Who may sign the clients' certificates; the clients are told. */
static int context_take_authorities(SSL_CTX *ssl, struct str text, const char *file, struct err *err)
{
	BIO *bio = bio_of(text);
	X509 *x509 = NULL;
	bool done = true, any = false;
	uint8_t sum[32];

	while (done && (x509 = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
		done = X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), x509) == 1 &&
		       SSL_CTX_add_client_CA(ssl, x509) == 1;
		X509_free(x509);
		any = true;
	}
	/* With none at all the reason is that there is none. */
	done = done && (!any || pem_is_over()) && any;
	BIO_free(bio);
	if (!done)
		return err_openssl(err, ERR_INVALID, file);
	/* A session that others had vouched for is not resumed. */
	digest_of(text.s, text.n, sum);
	must_succeed(SSL_CTX_set_session_id_context(ssl, sum, sizeof sum) == 1);
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	return 0;
}

/* Instead of OpenSSL's own judgement. */
static int context_on_certificate(X509_STORE_CTX *store, void *data)
{
	const struct tls_context *context = data;
	unsigned char *der = NULL;
	int n = i2d_X509(X509_STORE_CTX_get0_cert(store), &der);
	bool good = n > 0 && context->options.verify(context->options.data,
						     (struct str){ (const char *)der, (size_t)n });

	OPENSSL_free(der);
	X509_STORE_CTX_set_error(store, good ? X509_V_OK : X509_V_ERR_APPLICATION_VERIFICATION);
	return good;
}

/* A session that is resumed would not be judged again, so none is. */
static void context_set_judge(SSL_CTX *ssl, struct tls_context *context)
{
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ssl, context_on_certificate, context);
	SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(ssl, 0);
}

static SSL_CTX *context_make(void)
{
	SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());

	must_succeed(ssl != NULL && SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
		     SSL_CTX_set_max_proto_version(ssl, 0) == 1 && SSL_CTX_set_cipher_list(ssl, CIPHERS) == 1 &&
		     SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, ticket_on_key) == 1);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA | SSL_OP_ENABLE_KTLS);
	SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	/* Of what is no content, such as the change of a key, one record at a time: others want to be served. */
	SSL_CTX_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ssl, TICKET_S);
	SSL_CTX_set_tlsext_servername_callback(ssl, certificate_on_name);
	SSL_CTX_set_alpn_select_cb(ssl, protocol_on_offer, NULL);
	return ssl;
}

static int64_t certificate_expires(const X509 *x509)
{
	struct tm tm = { .tm_sec = 0 };

	return ASN1_TIME_to_tm(X509_get0_notAfter(x509), &tm) == 1 ? timegm(&tm) : 0;
}

/* The text of a key is wiped by who has it read. */
static int certificate_fill(struct certificate *to, struct tls_context *context, size_t place, struct buf *text,
			    struct err *err)
{
	const struct tls_options *o = &context->options;
	const char *file = o->certificates[place];

	if (file_read(file, FILE_BYTES, text, err) < 0 ||
	    context_take_chain(to->ssl, buf_str(text), file, err) < 0)
		return -1;
	buf_reset(text);
	file = o->keys[place];
	if (file_read(file, FILE_BYTES, text, err) < 0 || context_take_key(to->ssl, buf_str(text), file, err) < 0)
		return -1;
	explicit_bzero(text->data, text->cap);
	buf_reset(text);
	file = o->client_ca;
	if (file != NULL && (file_read(file, FILE_BYTES, text, err) < 0 ||
			     context_take_authorities(to->ssl, buf_str(text), file, err) < 0))
		return -1;
	if (o->verify != NULL)
		context_set_judge(to->ssl, context);
	to->names = X509_get_ext_d2i(SSL_CTX_get0_certificate(to->ssl), NID_subject_alt_name, NULL, NULL);
	return 0;
}

static void set_release(struct tls_set *set)
{
	if (set == NULL || atomic_fetch_sub(&set->users, 1) > 1)
		return;
	for (size_t i = 0; i < set->count; i++) {
		SSL_CTX_free(set->list[i].ssl);
		GENERAL_NAMES_free(set->list[i].names);
	}
	free(set);
}

static int set_read(struct tls_set **ret, struct tls_context *context, struct err *err)
{
	size_t count = context->options.count;
	struct tls_set *set = mem_new(1, sizeof *set + count * sizeof *set->list);
	struct buf text = BUF_INIT;
	int rc = 0;

	ERR_clear_error();
	atomic_init(&set->users, 1);
	set->expires = INT64_MAX;
	for (size_t i = 0; rc == 0 && i < count; i++) {
		int64_t expires;

		set->list[set->count++].ssl = context_make();
		rc = certificate_fill(&set->list[i], context, i, &text, err);
		if (rc < 0)
			break;
		expires = certificate_expires(SSL_CTX_get0_certificate(set->list[i].ssl));
		if (expires < set->expires)
			set->expires = expires;
		buf_reset(&text);
	}
	if (text.data != NULL)
		explicit_bzero(text.data, text.cap);
	buf_clear(&text);
	if (rc == 0)
		*ret = set;
	else
		set_release(set);
	return rc;
}

/* contexts */

static void stamp_of(struct stamp *ret, const char *file)
{
	struct stat st;

	if (file == NULL || stat(file, &st) < 0)
		return;
	*ret = (struct stamp){ st.st_mtim, st.st_ctim, st.st_dev, st.st_ino, (uint64_t)st.st_size };
}

static size_t stamps_count(const struct tls_context *context)
{
	return 2 * context->options.count + 1;
}

/* The caller's to free. */
static struct stamp *stamps_of(const struct tls_context *context)
{
	const struct tls_options *o = &context->options;
	struct stamp *stamps = mem_new(stamps_count(context), sizeof *stamps);

	for (size_t i = 0; i < o->count; i++) {
		stamp_of(&stamps[2 * i], o->certificates[i]);
		stamp_of(&stamps[2 * i + 1], o->keys[i]);
	}
	stamp_of(&stamps[2 * o->count], o->client_ca);
	return stamps;
}

int tls_context_new(struct tls_context **ret, const struct tls_options *options, struct err *err)
{
	struct tls_context *context = mem_new(1, sizeof *context);

	context->options = *options;
	pthread_mutex_init(&context->mutex, NULL);
	/* Before they are read: what changes meanwhile is seen as a change. */
	context->stamps = stamps_of(context);
	if (set_read(&context->set, context, err) < 0) {
		tls_context_free(context);
		return -1;
	}
	*ret = context;
	return 0;
}

void tls_context_free(struct tls_context *context)
{
	if (context == NULL)
		return;
	set_release(context->set);
	explicit_bzero(context->tickets, sizeof context->tickets);
	pthread_mutex_destroy(&context->mutex);
	free(context->stamps);
	free(context);
}

static struct tls_set *context_hold_set(struct tls_context *context)
{
	struct tls_set *set;

	pthread_mutex_lock(&context->mutex);
	set = context->set;
	atomic_fetch_add(&set->users, 1);
	pthread_mutex_unlock(&context->mutex);
	return set;
}

static void context_replace_set(struct tls_context *context, struct tls_set *set)
{
	struct tls_set *before;

	pthread_mutex_lock(&context->mutex);
	before = context->set;
	context->set = set;
	pthread_mutex_unlock(&context->mutex);
	set_release(before);
}

int tls_context_look(struct tls_context *context, struct err *err)
{
	struct tls_set *set = NULL;
	struct stamp *stamps = stamps_of(context);

	if (memcmp(stamps, context->stamps, stamps_count(context) * sizeof *stamps) == 0) {
		free(stamps);
		return 0;
	}
	free(context->stamps);
	context->stamps = stamps;
	if (set_read(&set, context, err) < 0)
		return -1;
	context_replace_set(context, set);
	return 1;
}

int64_t tls_context_expires(struct tls_context *context)
{
	struct tls_set *set = context_hold_set(context);
	int64_t expires = set->expires;

	set_release(set);
	return expires;
}

/* sessions */

struct tls *tls_new(struct tls_context *context, int fd)
{
	struct tls *tls = mem_new(1, sizeof *tls);

	tls->context = context;
	tls->set = context_hold_set(context);
	tls->ssl = SSL_new(tls->set->list[0].ssl);
	must_succeed(tls->ssl != NULL && SSL_set_app_data(tls->ssl, tls) == 1 && SSL_set_fd(tls->ssl, fd) == 1);
	SSL_set_accept_state(tls->ssl);
	return tls;
}

void tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	SSL_free(tls->ssl);
	set_release(tls->set);
	free(tls->client);
	free(tls);
}

/* What a call that did not succeed came to: 0, or -1 with errno. */
static int tls_failed(struct tls *tls, int result)
{
	int sys = errno;

	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		tls->broken = true;
		errno = sys != 0 && sys != EAGAIN ? sys : ECONNRESET;
		return -1;
	default:
		tls->broken = true;
		errno = ECONNRESET;
		return -1;
	}
}

/* Errors are noted by thread: what another session left there must not be taken for this one's. */
static bool tls_may_go_on(struct tls *tls)
{
	ERR_clear_error();
	errno = tls->broken ? ECONNRESET : 0;
	return !tls->broken;
}

int tls_handshake(struct tls *tls, struct err *err)
{
	int r;

	tls_may_go_on(tls);
	r = SSL_do_handshake(tls->ssl);
	if (r == 1)
		return 1;
	tls->wants_to_send = SSL_want_write(tls->ssl);
	if (tls_failed(tls, r) < 0 && errno == EAGAIN)
		return 0;
	tls->broken = true;
	if (ERR_peek_error() != 0)
		return err_openssl(err, ERR_INVALID, "shake hands");
	if (errno == 0)
		errno = ECONNRESET;
	return err_sys(err, "shake hands");
}

bool tls_wants_to_send(const struct tls *tls)
{
	return tls->wants_to_send;
}

static int int_of(size_t n)
{
	return n < INT_MAX ? (int)n : INT_MAX;
}

ssize_t tls_recv(struct tls *tls, void *to, size_t n)
{
	size_t got = 0;
	int r;

	if (!tls_may_go_on(tls))
		return -1;
	do {
		r = SSL_read(tls->ssl, (char *)to + got, int_of(n - got));
		if (r > 0)
			got += (size_t)r;
	} while (r >= LARGE_RECORD && got < n);
	tls->wants_to_send = r <= 0 && SSL_want_write(tls->ssl);
	if (r > 0 || got > 0)
		return (ssize_t)got;	/* what it failed with it fails with again */
	return tls_failed(tls, r);
}

ssize_t tls_send(struct tls *tls, const void *from, size_t n)
{
	size_t sent = 0;
	int r = 1;

	if (!tls_may_go_on(tls))
		return -1;
	/* Each call sends a record. */
	while (sent < n && (r = SSL_write(tls->ssl, (const char *)from + sent, int_of(n - sent))) > 0)
		sent += (size_t)r;
	if (r > 0)
		return (ssize_t)sent;
	r = tls_failed(tls, r);
	return sent > 0 ? (ssize_t)sent : -1;
}

ssize_t tls_peek(struct tls *tls)
{
	char byte;
	int r;

	if (!tls_may_go_on(tls))
		return -1;
	r = SSL_peek(tls->ssl, &byte, 1);
	return r > 0 ? r : tls_failed(tls, r);
}

int tls_shutdown(struct tls *tls)
{
	int r;

	if (!tls_may_go_on(tls))
		return -1;
	if (tls->ended)
		return 0;
	/* OpenSSL notes that it is sent before it is: asked again, it sends what is left of it. */
	r = SSL_shutdown(tls->ssl);
	tls->ended = r >= 0;
	return tls->ended ? 0 : tls_failed(tls, r);
}

bool tls_is_in_kernel(const struct tls *tls)
{
	return BIO_get_ktls_send(SSL_get_wbio(tls->ssl));
}

ssize_t tls_sendfile(struct tls *tls, int file, off_t offset, size_t n)
{
	ssize_t r;

	if (!tls_may_go_on(tls))
		return -1;
	r = SSL_sendfile(tls->ssl, file, offset, n, 0);
	return r >= 0 ? r : tls_failed(tls, (int)r);
}

/* who the client is */

/* The caller's to free; NULL where it is no text that could be told. */
static char *name_of(const ASN1_STRING *string)
{
	unsigned char *text = NULL;
	int n = string == NULL ? -1 : ASN1_STRING_to_UTF8(&text, string);
	char *name = n > 0 && n <= CLIENT_NAME_BYTES ? mem_copy((const char *)text, (size_t)n) : NULL;

	for (int i = 0; name != NULL && i < n; i++)
		if (text[i] < ' ' || text[i] == 0x7f) {
			free(name);
			name = NULL;
		}
	OPENSSL_free(text);
	return name;
}

static char *common_name_of(const X509 *x509)
{
	const X509_NAME *subject = X509_get_subject_name(x509);
	int place = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	return place < 0 ? NULL : name_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place)));
}

static char *alternative_name_of(const X509 *x509)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
	char *found = NULL;

	for (int i = 0; found == NULL && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS || name->type == GEN_EMAIL)
			found = name_of(name->d.ia5);
	}
	GENERAL_NAMES_free(names);
	return found;
}

const char *tls_client(struct tls *tls)
{
	const X509 *x509 = SSL_get0_peer_certificate(tls->ssl);

	if (tls->client != NULL || x509 == NULL || SSL_get_verify_result(tls->ssl) != X509_V_OK)
		return tls->client;
	/* That of a session which is resumed was verified some time ago. */
	if (tls->context->options.verify == NULL && X509_cmp_current_time(X509_get0_notAfter(x509)) < 0)
		return NULL;
	tls->client = common_name_of(x509);
	if (tls->client == NULL)
		tls->client = alternative_name_of(x509);
	return tls->client;
}

bool tls_was_resumed(const struct tls *tls)
{
	return SSL_session_reused(tls->ssl);
}
