/* SPDX-License-Identifier: MIT */
/*
 * Included before anything else when portable code is built for the host: gives
 * the functions that libc has too another name, so that the tests run ours while
 * libc and the sanitizers use theirs. host.c undoes it, to compare the two.
 */
#ifndef TEST_HOST_RENAME_H
#define TEST_HOST_RENAME_H

#define memcpy	 lib_memcpy
#define memmove	 lib_memmove
#define memset	 lib_memset
#define memcmp	 lib_memcmp
#define memchr	 lib_memchr
#define strlen	 lib_strlen
#define strnlen	 lib_strnlen
#define strcmp	 lib_strcmp
#define strncmp	 lib_strncmp
#define strchr	 lib_strchr
#define strrchr	 lib_strrchr
#define strchrnul lib_strchrnul
#define strstr	 lib_strstr
#define strspn	 lib_strspn
#define strcspn	 lib_strcspn
#define strlcpy	 lib_strlcpy
#define strlcat	 lib_strlcat
#define snprintf lib_snprintf
#define vsnprintf lib_vsnprintf
#define bsearch	 lib_bsearch

#endif
