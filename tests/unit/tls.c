/* tls: certificates by name, sessions over a socket pair with OpenSSL's client, what is refused, and files that change */
#include "tls.h"

#include "buf.h"
#include "file.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BIG (3u << 20)

static char directory[] = "/tmp/covey-tls-XXXXXX";
static char file_a[64], key_a[64], file_b[64], key_b[64], file_ca[64], missing[64];

static void path_of(char to[64], const char *name)
{
	snprintf(to, 64, "%s/%s", directory, name);
}

static void must(bool ok)
{
	if (!ok) {
		fprintf(stderr, "the test itself failed\n");
		exit(1);
	}
}

/* what is signed */

struct identity {
	EVP_PKEY *key;
	X509 *x509;
};

static void add_extension(X509 *x509, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, x509, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	must(extension != NULL && X509_add_ext(x509, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

/* name: the common one, or NULL; names: alternative ones, or NULL; signer: NULL: itself. */
static struct identity identity_make(const char *name, const char *names, const struct identity *signer)
{
	static long serial;
	struct identity made = { EVP_EC_gen("P-256"), X509_new() };
	X509_NAME *subject = X509_get_subject_name(made.x509);

	must(X509_set_version(made.x509, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(made.x509), ++serial) == 1);
	X509_gmtime_adj(X509_getm_notBefore(made.x509), -3600);
	X509_gmtime_adj(X509_getm_notAfter(made.x509), 86400);
	if (name != NULL)
		must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) == 1);
	must(X509_set_issuer_name(made.x509, signer ? X509_get_subject_name(signer->x509) : subject) == 1 &&
	     X509_set_pubkey(made.x509, made.key) == 1);
	if (names != NULL)
		add_extension(made.x509, NID_subject_alt_name, names);
	if (signer == NULL)
		add_extension(made.x509, NID_basic_constraints, "critical,CA:TRUE");
	must(X509_sign(made.x509, signer ? signer->key : made.key, EVP_sha256()) > 0);
	return made;
}

static void identity_clear(struct identity *identity)
{
	EVP_PKEY_free(identity->key);
	X509_free(identity->x509);
}

static void write_pem(const struct identity *identity, const char *certificate, const char *key)
{
	FILE *to = fopen(certificate, "w");

	must(to != NULL && PEM_write_X509(to, identity->x509) == 1 && fclose(to) == 0);
	to = key != NULL ? fopen(key, "w") : NULL;
	if (key != NULL)
		must(to != NULL && PEM_write_PrivateKey(to, identity->key, NULL, NULL, 0, NULL, NULL) == 1 &&
		     fclose(to) == 0);
}

static void write_text(const char *file, const char *text)
{
	must(file_replace(file, str_of(text), 0600, NULL) == 0);
}

/* the client */

struct client {
	SSL_CTX *context;
	SSL *ssl;
	int fd;
	struct tls *tls;		/* the server's end of it */
	int server_fd;
};

static void client_open(struct client *c, struct tls_context *context, const char *host, int version,
			const struct identity *as)
{
	char name[64] = "";	/* OpenSSL's macro takes no const */
	int fds[2];

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	*c = (struct client){ SSL_CTX_new(TLS_client_method()), NULL, fds[0], NULL, fds[1] };
	SSL_CTX_set_security_level(c->context, 0);	/* or it offers no TLS 1.1 */
	must(SSL_CTX_set_min_proto_version(c->context, version) == 1 &&
	     SSL_CTX_set_max_proto_version(c->context, version) == 1);
	if (as != NULL)
		must(SSL_CTX_use_certificate(c->context, as->x509) == 1 && SSL_CTX_use_PrivateKey(c->context, as->key) == 1);
	c->ssl = SSL_new(c->context);
	must(SSL_set_fd(c->ssl, c->fd) == 1);
	snprintf(name, sizeof name, "%s", host != NULL ? host : "");
	if (host != NULL)
		must(SSL_set_tlsext_host_name(c->ssl, name) == 1);
	SSL_set_connect_state(c->ssl);
	c->tls = tls_new(context, c->server_fd);
}

/* Both sides in turn; 1 when the server says that it is done, and the client has heard it. */
static int client_shake(struct client *c, struct err *err)
{
	for (int i = 0; i < 100; i++) {
		int client = SSL_do_handshake(c->ssl), server = tls_handshake(c->tls, err);

		if (server < 0)
			return -1;
		if (server == 1 && client == 1)
			return 1;
		ERR_clear_error();
	}
	return 0;
}

static void client_close(struct client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->context);
	tls_free(c->tls);
	close(c->fd);
	close(c->server_fd);
}

static bool shakes(struct tls_context *context, int version, const struct identity *as)
{
	struct err err = ERR_INIT;
	struct client c;
	int r;

	client_open(&c, context, NULL, version, as);
	r = client_shake(&c, &err);
	if (r < 0)
		CHECK(strstr(err.text, "shake hands: ") == err.text && err.text[strlen("shake hands: ")] != '\0');
	client_close(&c);
	return r == 1;
}

/* The common name of the certificate that a client gets who asks for the host. */
static bool is_shown(struct tls_context *context, const char *host, const char *name)
{
	struct err err = ERR_INIT;
	char shown[64] = "";
	struct client c;
	X509 *x509;

	client_open(&c, context, host, TLS1_3_VERSION, NULL);
	CHECK(client_shake(&c, &err) == 1);
	x509 = SSL_get1_peer_certificate(c.ssl);
	if (x509 != NULL)
		X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName, shown, sizeof shown);
	X509_free(x509);
	client_close(&c);
	return strcmp(shown, name) == 0;
}

/* the tests */

static void names(void)
{
	static const struct {
		const char *name, *host;
		bool matches;
	} cases[] = {
		{ "a.example", "a.example", true },	  { "A.Example", "a.eXAMPLE", true },
		{ "a.example", "a.example.", true },	  { "a.example", "b.example", false },
		{ "a.example", "a.example..", false },	  { "*.example", "a.example", true },
		{ "*.example", "A.EXAMPLE.", true },	  { "*.example", "example", false },
		{ "*.example", ".example", false },	  { "*.example", "a.b.example", false },
		{ "a.*.example", "a.b.example", false },  { "a*.example", "ab.example", false },
		{ "*", "a", false },			  { "*.", "a.", false },
		{ "*.", "a", false },			  { "", "", false },
		{ "a", "", false },			  { "", "a", false },
		{ "*.*.example", "a.b.example", false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		bool matches = tls_name_matches(str_of(cases[i].name), str_of(cases[i].host));

		if (matches != cases[i].matches)
			fprintf(stderr, "  \"%s\" for \"%s\"\n", cases[i].name, cases[i].host);
		CHECK(matches == cases[i].matches);
	}
	/* A NUL hides nothing. */
	CHECK(!tls_name_matches((struct str){ "a\0.b", 4 }, STR("a")));
}

static struct tls_options options_of(char *const *certificates, char *const *keys, size_t count, const char *client_ca)
{
	return (struct tls_options){ .certificates = certificates, .keys = keys, .count = count, .client_ca = client_ca };
}

static bool refused(char *certificate, char *key, const char *ca, const char *says)
{
	struct tls_options options = options_of(&certificate, &key, 1, ca);
	struct tls_context *context = NULL;
	struct err err = ERR_INIT;
	bool is = tls_context_new(&context, &options, &err) == -1 && context == NULL && strstr(err.text, says) != NULL;

	if (!is)
		fprintf(stderr, "  said \"%s\"\n", err.text);
	tls_context_free(context);
	return is;
}

static void bad_files(void)
{
	char junk[64], locked[64];
	struct identity a = identity_make("a", NULL, NULL);
	FILE *to;

	path_of(junk, "junk");
	path_of(locked, "locked");
	write_text(junk, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	to = fopen(locked, "w");
	must(to != NULL && PEM_write_PrivateKey(to, a.key, EVP_aes_128_cbc(), NULL, 0, NULL, (void *)(uintptr_t)"pass") == 1 &&
	     fclose(to) == 0);
	CHECK(refused(missing, key_a, NULL, missing));
	CHECK(refused(file_a, missing, NULL, missing));
	CHECK(refused(file_a, key_a, missing, missing));
	CHECK(refused(junk, key_a, NULL, junk));
	CHECK(refused(file_a, key_b, NULL, "key values mismatch"));
	CHECK(refused(key_a, key_a, NULL, "no start line"));
	CHECK(refused(file_a, file_a, NULL, file_a));
	CHECK(refused(file_a, locked, NULL, locked));
	CHECK(refused(file_a, key_a, key_a, "no start line"));
	CHECK(refused(file_a, key_a, junk, junk));
	/* Of a chain no part is passed over. */
	write_pem(&a, junk, NULL);
	to = fopen(junk, "a");
	must(to != NULL && fputs("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", to) >= 0 && fclose(to) == 0);
	CHECK(refused(junk, locked, NULL, junk));
	unlink(junk);
	unlink(locked);
	identity_clear(&a);
}

static void by_name(void)
{
	char *certificates[] = { file_a, file_b }, *keys[] = { key_a, key_b };
	struct tls_options options = options_of(certificates, keys, 2, NULL);
	struct tls_context *context = NULL;
	struct err err = ERR_INIT;

	CHECK(tls_context_new(&context, &options, &err) == 0);
	CHECK(is_shown(context, NULL, "a"));
	CHECK(is_shown(context, "a.example", "a"));
	CHECK(is_shown(context, "b.example", "b"));
	CHECK(is_shown(context, "B.Example", "b"));
	CHECK(is_shown(context, "x.example", "a"));	/* the star is a's, which has *.example */
	CHECK(is_shown(context, "x.b.example", "b"));
	CHECK(is_shown(context, "nobody", "a"));
	CHECK(tls_context_expires(context) > (int64_t)time(NULL) + 86000 &&
	      tls_context_expires(context) <= (int64_t)time(NULL) + 86400);
	CHECK(shakes(context, TLS1_2_VERSION, NULL));
	CHECK(shakes(context, TLS1_3_VERSION, NULL));
	CHECK(!shakes(context, TLS1_1_VERSION, NULL));
	tls_context_free(context);
}

static struct tls_context *context_a(const char *ca)
{
	static char *const certificate[] = { file_a }, *const key[] = { key_a };
	struct tls_options options = options_of(certificate, key, 1, ca);
	struct tls_context *context = NULL;
	struct err err = ERR_INIT;

	must(tls_context_new(&context, &options, &err) == 0);
	return context;
}

static void speak(int version)
{
	static char to[BIG], from[BIG];
	struct tls_context *context = context_a(NULL);
	struct err err = ERR_INIT;
	size_t sent = 0, got = 0;
	bool blocked = false;
	struct client c;
	char word[8];

	for (size_t i = 0; i < BIG; i++)
		from[i] = (char)(i * 31 + i / 977);
	client_open(&c, context, "a.example", version, NULL);
	CHECK(client_shake(&c, &err) == 1);
	CHECK(tls_peek(c.tls) == -1 && errno == EAGAIN);
	CHECK(tls_recv(c.tls, word, sizeof word) == -1 && errno == EAGAIN && !tls_wants_to_send(c.tls));
	CHECK(SSL_write(c.ssl, "hello", 5) == 5);
	CHECK(tls_peek(c.tls) == 1);
	CHECK(tls_recv(c.tls, word, 2) == 2 && memcmp(word, "he", 2) == 0);
	CHECK(tls_recv(c.tls, word, sizeof word) == 3 && memcmp(word, "llo", 3) == 0);
	/* More than the socket takes, each time from another place in memory. */
	while (got < BIG) {
		char *moved = malloc(BIG - sent);
		ssize_t n;
		int r;

		memcpy(moved, from + sent, BIG - sent);
		n = sent < BIG ? tls_send(c.tls, moved, BIG - sent) : 0;
		blocked = blocked || (n < 0 && errno == EAGAIN);
		must(n >= 0 || errno == EAGAIN);
		sent += n > 0 ? (size_t)n : 0;
		free(moved);
		r = SSL_read(c.ssl, to + got, (int)(BIG - got));
		got += r > 0 ? (size_t)r : 0;
	}
	CHECK(blocked && memcmp(from, to, BIG) == 0);
	/* And back. */
	memset(to, 0, BIG);
	SSL_set_mode(c.ssl, SSL_MODE_ENABLE_PARTIAL_WRITE);
	for (sent = got = 0; got < BIG;) {
		int r = sent < BIG ? SSL_write(c.ssl, from + sent, (int)(BIG - sent)) : 0;
		ssize_t n = tls_recv(c.tls, to + got, BIG - got);

		sent += r > 0 ? (size_t)r : 0;
		must(n > 0 || errno == EAGAIN);
		got += n > 0 ? (size_t)n : 0;
	}
	CHECK(memcmp(from, to, BIG) == 0);
	/* The client says that it sends no more, and still reads. */
	CHECK(SSL_shutdown(c.ssl) == 0);
	CHECK(tls_peek(c.tls) == 0);
	CHECK(tls_recv(c.tls, word, sizeof word) == 0);
	CHECK(tls_send(c.tls, "bye", 3) == 3);
	CHECK(SSL_read(c.ssl, word, sizeof word) == 3);
	CHECK(tls_shutdown(c.tls) == 0 && tls_shutdown(c.tls) == 0);
	CHECK(SSL_read(c.ssl, word, sizeof word) == 0 && SSL_get_error(c.ssl, 0) == SSL_ERROR_ZERO_RETURN);
	client_close(&c);
	tls_context_free(context);
}

static void broken(void)
{
	struct tls_context *context = context_a(NULL);
	struct err err = ERR_INIT;
	struct client c;
	char word[8];

	/* An end that nobody has announced is none. */
	client_open(&c, context, NULL, TLS1_3_VERSION, NULL);
	CHECK(client_shake(&c, &err) == 1);
	shutdown(c.fd, SHUT_WR);
	CHECK(tls_recv(c.tls, word, sizeof word) == -1 && errno == ECONNRESET);
	CHECK(tls_send(c.tls, "x", 1) == -1 && errno == ECONNRESET);
	CHECK(tls_peek(c.tls) == -1 && tls_shutdown(c.tls) == -1);
	client_close(&c);
	/* Nor are bytes that nobody has encrypted. */
	client_open(&c, context, NULL, TLS1_3_VERSION, NULL);
	CHECK(client_shake(&c, &err) == 1);
	CHECK(write(c.fd, "\027\003\003\000\005hello", 10) == 10);
	CHECK(tls_recv(c.tls, word, sizeof word) == -1 && errno != EAGAIN);
	client_close(&c);
	/* A record that is longer than any may be, instead of a handshake, and no handshake at all. */
	client_open(&c, context, NULL, TLS1_3_VERSION, NULL);
	CHECK(write(c.fd, "\026\003\001\377\377\001", 6) == 6);
	CHECK(tls_handshake(c.tls, &err) == -1);
	client_close(&c);
	client_open(&c, context, NULL, TLS1_3_VERSION, NULL);
	CHECK(tls_handshake(c.tls, &err) == 0 && !tls_wants_to_send(c.tls));
	shutdown(c.fd, SHUT_WR);
	CHECK(tls_handshake(c.tls, &err) == -1);
	client_close(&c);
	/* A client that wants to begin anew is not let. */
	client_open(&c, context, NULL, TLS1_2_VERSION, NULL);
	CHECK(client_shake(&c, &err) == 1);
	SSL_renegotiate(c.ssl);
	for (int i = 0; i < 5 && ERR_peek_error() == 0; i++) {
		SSL_do_handshake(c.ssl);
		tls_recv(c.tls, word, sizeof word);
		ERR_clear_error();
		SSL_do_handshake(c.ssl);
	}
	CHECK(ERR_GET_REASON(ERR_peek_error()) == SSL_R_NO_RENEGOTIATION);
	ERR_clear_error();
	client_close(&c);
	tls_context_free(context);
}

/* Resumed or not, by a session that the client has from before. */
static bool resumes(struct tls_context *context, SSL_SESSION **session, int version)
{
	struct err err = ERR_INIT;
	struct client c;
	char word[4];
	bool did;

	client_open(&c, context, NULL, version, NULL);
	if (*session != NULL)
		SSL_set_session(c.ssl, *session);
	must(client_shake(&c, &err) == 1);
	must(tls_send(c.tls, "x", 1) == 1 && SSL_read(c.ssl, word, sizeof word) == 1);	/* and the tickets */
	did = tls_was_resumed(c.tls);
	CHECK(did == (SSL_session_reused(c.ssl) == 1));
	SSL_SESSION_free(*session);
	*session = SSL_get1_session(c.ssl);
	SSL_shutdown(c.ssl);
	client_close(&c);
	return did;
}

static void changes(void)
{
	struct identity fresh = identity_make("fresh", "DNS:a.example", NULL);
	struct identity a = identity_make("a", "DNS:a.example", NULL);
	struct tls_context *context;
	SSL_SESSION *session12 = NULL, *session13 = NULL;
	struct err err = ERR_INIT;
	struct client old;

	write_pem(&a, file_a, key_a);
	context = context_a(NULL);
	CHECK(!resumes(context, &session12, TLS1_2_VERSION) && resumes(context, &session12, TLS1_2_VERSION));
	CHECK(!resumes(context, &session13, TLS1_3_VERSION) && resumes(context, &session13, TLS1_3_VERSION));
	CHECK(tls_context_look(context, &err) == 0);
	client_open(&old, context, NULL, TLS1_3_VERSION, NULL);
	/* Half of what is new cannot be used, and is told of once. */
	write_pem(&fresh, file_a, NULL);
	CHECK(tls_context_look(context, &err) == -1 && strstr(err.text, key_a) != NULL);
	CHECK(tls_context_look(context, &err) == 0);
	CHECK(is_shown(context, NULL, "a"));
	unlink(key_a);
	CHECK(tls_context_look(context, &err) == -1 && strstr(err.text, key_a) != NULL);
	CHECK(is_shown(context, NULL, "a"));
	write_pem(&fresh, file_a, key_a);
	CHECK(tls_context_look(context, &err) == 1);
	CHECK(is_shown(context, NULL, "fresh"));
	/* Who had begun goes on with what he began with; and tickets are good over it. */
	CHECK(client_shake(&old, &err) == 1);
	client_close(&old);
	CHECK(resumes(context, &session12, TLS1_2_VERSION));
	CHECK(resumes(context, &session13, TLS1_3_VERSION));
	SSL_SESSION_free(session12);
	SSL_SESSION_free(session13);
	tls_context_free(context);
	write_pem(&a, file_a, key_a);
	identity_clear(&a);
	identity_clear(&fresh);
}

/* The name by which the server knows him, or NULL when it refuses him. */
static const char *known_as(struct tls_context *context, const struct identity *as)
{
	static char name[300];
	struct err err = ERR_INIT;
	const char *told;
	struct client c;
	bool done;

	client_open(&c, context, NULL, TLS1_3_VERSION, as);
	done = client_shake(&c, &err) == 1;
	told = done ? tls_client(c.tls) : NULL;
	snprintf(name, sizeof name, "%s", told != NULL ? told : "nobody");
	client_close(&c);
	return done ? name : NULL;
}

static void clients(void)
{
	struct identity ca = identity_make("ca", NULL, NULL), other = identity_make("other", NULL, NULL);
	struct identity by_name = identity_make("Jo Doe", "DNS:x", &ca), by_mail = identity_make(NULL, "email:jo@example.org", &ca);
	struct identity by_host = identity_make(NULL, "IP:192.0.2.1,DNS:host.example", &ca), odd = identity_make("a\nb", NULL, &ca);
	struct identity stranger = identity_make("Jo Doe", NULL, &other);
	struct tls_context *context;
	const char *name;

	write_pem(&ca, file_ca, NULL);
	context = context_a(file_ca);
	CHECK((name = known_as(context, NULL)) != NULL && strcmp(name, "nobody") == 0);
	CHECK((name = known_as(context, &by_name)) != NULL && strcmp(name, "Jo Doe") == 0);
	CHECK((name = known_as(context, &by_mail)) != NULL && strcmp(name, "jo@example.org") == 0);
	CHECK((name = known_as(context, &by_host)) != NULL && strcmp(name, "host.example") == 0);
	CHECK((name = known_as(context, &odd)) != NULL && strcmp(name, "nobody") == 0);
	CHECK(known_as(context, &stranger) == NULL);
	tls_context_free(context);
	/* Where nobody asks for one, none is shown. */
	context = context_a(NULL);
	CHECK((name = known_as(context, &by_name)) != NULL && strcmp(name, "nobody") == 0);
	tls_context_free(context);
	identity_clear(&ca);
	identity_clear(&other);
	identity_clear(&by_name);
	identity_clear(&by_mail);
	identity_clear(&by_host);
	identity_clear(&odd);
	identity_clear(&stranger);
}

/* Judges by the bytes that it is given alone. */
static bool is_the_one(void *data, struct str certificate)
{
	const X509 *one = data;
	unsigned char *der = NULL;
	int n = i2d_X509(one, &der);
	bool is = str_eq(certificate, (struct str){ (const char *)der, (size_t)n });

	OPENSSL_free(der);
	return is;
}

static void judged(void)
{
	static char *const certificate[] = { file_a }, *const key[] = { key_a };
	struct identity one = identity_make("one", NULL, NULL), two = identity_make("one", NULL, NULL);
	struct tls_options options = options_of(certificate, key, 1, NULL);
	struct tls_context *context = NULL;
	struct err err = ERR_INIT;
	const char *name;

	options.verify = is_the_one;
	options.data = one.x509;
	CHECK(tls_context_new(&context, &options, &err) == 0);
	CHECK((name = known_as(context, &one)) != NULL && strcmp(name, "one") == 0);
	CHECK(known_as(context, &two) == NULL);
	CHECK(known_as(context, NULL) == NULL);
	tls_context_free(context);
	identity_clear(&one);
	identity_clear(&two);
}

int main(void)
{
	struct identity a = identity_make("a", "DNS:a.example,DNS:*.example", NULL);
	struct identity b = identity_make("b", "IP:192.0.2.1,DNS:b.example,DNS:*.b.example", NULL);

	signal(SIGPIPE, SIG_IGN);
	must(mkdtemp(directory) != NULL);
	path_of(file_a, "a.crt");
	path_of(key_a, "a.key");
	path_of(file_b, "b.crt");
	path_of(key_b, "b.key");
	path_of(file_ca, "ca.crt");
	path_of(missing, "missing");
	write_pem(&a, file_a, key_a);
	write_pem(&b, file_b, key_b);
	names();
	bad_files();
	by_name();
	speak(TLS1_2_VERSION);
	speak(TLS1_3_VERSION);
	broken();
	clients();
	judged();
	changes();
	identity_clear(&a);
	identity_clear(&b);
	unlink(file_a);
	unlink(key_a);
	unlink(file_b);
	unlink(key_b);
	unlink(file_ca);
	rmdir(directory);
	return UNIT_RESULT();
}
