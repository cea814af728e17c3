/*
 * Any bytes as a certificate's name and the host that a client asks for, with a
 * NUL between: what matches, matches by RFC 6125 alone, said here label by label.
 */
#include "tls.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Without its last dot, if it has one. */
static struct str without_dot(struct str host)
{
	return (struct str){ host.s, host.n > 0 && host.s[host.n - 1] == '.' ? host.n - 1 : host.n };
}

static bool labels_match(struct str name, struct str host)
{
	struct str a, b;
	bool first = true;

	if (name.n == 0 || host.n == 0)
		return false;
	for (;; first = false) {
		bool more_a = str_cut(&name, '.', &a), more_b = str_cut(&host, '.', &b);

		if (!more_a || !more_b)
			return more_a == more_b;
		/* The star is a whole label, the first of several, and stands for one that is not empty. */
		if (first && name.s != NULL && str_eq(a, STR("*"))) {
			if (b.n == 0 || host.n == 0)
				return false;
		} else if (!str_eq_nocase(a, b)) {
			return false;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str rest = { (const char *)data, n }, name, host;

	if (!str_cut(&rest, '\0', &name))
		return 0;
	host = rest.s != NULL ? rest : (struct str)STR_INIT;
	if (tls_name_matches(name, host) != labels_match(name, without_dot(host)))
		abort();
	if (name.n > 0 && name.s[0] != '*' && name.s[name.n - 1] != '.' && !tls_name_matches(name, name))
		abort();
	return 0;
}
