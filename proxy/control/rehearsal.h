#ifndef WEIR_PROXY_REHEARSAL_H
#define WEIR_PROXY_REHEARSAL_H

/* `weir -t`: what a start with this file would meet, without starting. The file
 * is read, the files that it names as well; every host is looked up, as long as
 * [health] timeout allows; every address to listen on is tried. No server is
 * spoken to, nobody can connect, and nothing is changed.
 *
 * Every problem is told on stderr, one a line; what was checked, and what may be
 * meant so, on stdout. Returns the exit status. */
int rehearse(const char *path);

#endif
