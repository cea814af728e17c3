/*
 * upload_inside - between the beginning of an upload (upload_begin.c) and its body (upload.c)
 */
#ifndef COVEY_HTTPD_UPLOAD_INSIDE_H
#define COVEY_HTTPD_UPLOAD_INSIDE_H

#include "upload.h"

#include "err.h"
#include "pool.h"

struct chunk {
	char *data;			/* owned */
	size_t len, cap;
};

struct upload {
	struct conn *conn;
	struct form *form;		/* multipart/form-data; NULL: a raw body */
	bool pushed;			/* by another node */
	void (*whole)(struct conn *, struct str);	/* wants it whole, in memory; or NULL */
	struct chunk chunks[2];
	unsigned filling;		/* which one the client fills */
	unsigned running;		/* jobs that have the other one */
	bool passing;			/* it is pushed on, or needs not be */
	bool begun;			/* some of the body went to the disk: the rest must too */
	bool gone;			/* the client left, or its body is no body */
	int status;			/* what to answer then; 0: nothing */
	const char *why;
	bool failed;			/* a job did; err says why */
	struct err err;
	struct job write_job, hash_job;
};

#endif
