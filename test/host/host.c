/* SPDX-License-Identifier: MIT */
/* libc's side of the comparisons. */
#include "rename.h"

#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr
#undef strrchr
#undef strchrnul
#undef strstr
#undef strspn
#undef strcspn
#undef strlcpy
#undef strlcat
#undef snprintf
#undef vsnprintf
#undef bsearch

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "framework.h"

void *host_alloc(size_t n)
{
	void *p = malloc(n);

	if (!p)
		abort();
	return p;
}

void host_free(void *p)
{
	free(p);
}

bool host_in_child(void (*fn)(void))
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		fn();
		fflush(NULL);
		_exit(test_failed() ? 1 : 0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool host_str_equal(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

int host_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	return vsnprintf(buf, size, fmt, ap);
}

int host_memcmp(const void *a, const void *b, size_t n)
{
	return memcmp(a, b, n);
}

void *host_memmove(void *d, const void *s, size_t n)
{
	return memmove(d, s, n);
}

void *host_memset(void *d, int c, size_t n)
{
	return memset(d, c, n);
}

size_t host_strlen(const char *s)
{
	return strlen(s);
}

int host_strcmp(const char *a, const char *b)
{
	return strcmp(a, b);
}

int host_strncmp(const char *a, const char *b, size_t n)
{
	return strncmp(a, b, n);
}

char *host_strstr(const char *s, const char *needle)
{
	return strstr(s, needle);
}

char *host_strrchr(const char *s, int c)
{
	return strrchr(s, c);
}

void host_sort(void *base, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	qsort(base, n, size, cmp);
}
