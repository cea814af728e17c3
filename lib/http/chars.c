/* chars - which bytes may stand where in HTTP/1.x, as one table of bits */
#include "chars.h"

#define V CHAR_VALUE
#define U (V | CHAR_TARGET)
#define S (U | CHAR_HOST)
#define P (V | CHAR_TOKEN)	/* '#' alone */
#define T (U | CHAR_TOKEN)
#define H (T | CHAR_HOST)

/* Sixteen bytes a line; behind it those that are printed. */
const unsigned char char_classes[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, V, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	V, H, U, P, H, H, H, H, S, S, H, H, S, H, H, U,	/*  !"#$%&'()*+,-./ */
	H, H, H, H, H, H, H, H, H, H, U, S, U, S, U, U,	/* 0123456789:;<=>? */
	U, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,	/* @ABCDEFGHIJKLMNO */
	H, H, H, H, H, H, H, H, H, H, H, U, U, U, T, H,	/* PQRSTUVWXYZ[\]^_ */
	T, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,	/* `abcdefghijklmno */
	H, H, H, H, H, H, H, H, H, H, H, U, T, U, H, 0,	/* pqrstuvwxyz{|}~ */
	U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U,
	U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U,
	U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U,
	U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U,
	U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U,
	U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U,
	U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U,
	U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U,
};
