/* SPDX-License-Identifier: MIT */
#ifndef ABI_LINUX_SYSLOG_H
#define ABI_LINUX_SYSLOG_H

/* syslog(2): actions, and the levels of messages. */

#define SYSLOG_ACTION_CLOSE	0
#define SYSLOG_ACTION_OPEN	1
#define SYSLOG_ACTION_READ	2
#define SYSLOG_ACTION_READ_ALL	3
#define SYSLOG_ACTION_READ_CLEAR	4
#define SYSLOG_ACTION_CLEAR	5
#define SYSLOG_ACTION_CONSOLE_OFF	6
#define SYSLOG_ACTION_CONSOLE_ON	7
#define SYSLOG_ACTION_CONSOLE_LEVEL	8
#define SYSLOG_ACTION_SIZE_UNREAD	9
#define SYSLOG_ACTION_SIZE_BUFFER	10
#define LOG_EMERG		0
#define LOG_ALERT		1
#define LOG_CRIT		2
#define LOG_ERR			3
#define LOG_WARNING		4
#define LOG_NOTICE		5
#define LOG_INFO		6
#define LOG_DEBUG		7

#endif
