/* param - the parameters behind a field value */
#include "param.h"

#include "chars.h"

struct str param_essence(struct str *rest)
{
	const char *semicolon = rest->n ? memchr(rest->s, ';', rest->n) : NULL;
	size_t n = semicolon ? (size_t)(semicolon - rest->s) : rest->n;
	struct str essence = str_trim((struct str){ rest->s, n });

	if (n > 0)	/* an absent field's slice points nowhere */
		*rest = (struct str){ rest->s + n, rest->n - n };
	return essence;
}

static size_t token_length(struct str text)
{
	size_t n = 0;

	while (n < text.n && char_is(text.s[n], CHAR_TOKEN))
		n++;
	return n;
}

/* Both quotes counted; 0 when it does not end. */
static size_t quoted_length(struct str text, enum param_quoting quoting)
{
	for (size_t i = 1; i < text.n; i++) {
		if (text.s[i] == '"')
			return i + 1;
		if (text.s[i] == '\\' && i + 1 < text.n &&
		    (quoting == PARAM_QUOTED || text.s[i + 1] == '"' || text.s[i + 1] == '\\'))
			i++;
	}
	return 0;
}

static struct str skip(struct str text, size_t n)
{
	return (struct str){ text.s + n, text.n - n };
}

int param_next(struct str *rest, enum param_quoting quoting, struct str *ret_name,
	       struct str *ret_value)
{
	struct str r = *rest, name, value;

	if (r.n > 0 && r.s[0] != ';')
		return -1;
	while (r.n > 0 && (r.s[0] == ';' || r.s[0] == ' ' || r.s[0] == '\t'))
		r = skip(r, 1);
	if (r.n == 0)
		return 0;
	name = (struct str){ r.s, token_length(r) };
	r = skip(r, name.n);
	if (name.n == 0 || r.n < 2 || r.s[0] != '=')
		return -1;
	r = skip(r, 1);
	value = (struct str){ r.s, r.s[0] == '"' ? quoted_length(r, quoting) : token_length(r) };
	if (value.n == 0)
		return -1;
	r = str_trim(skip(r, value.n));
	if (r.n > 0 && r.s[0] != ';')
		return -1;
	*ret_name = name;
	*ret_value = value;
	*rest = r;
	return 1;
}
