#ifndef WEIR_PROXY_SWITCHOVER_PAGE_H
#define WEIR_PROXY_SWITCHOVER_PAGE_H

struct page_call;

/* POST /switchover: the console's SWITCHOVER for programs. The body is an object, or
 * nothing; the answer is one too, and its status says what became of it:
 *
 *   200  done, or possible (a dry run)
 *   400  the body is not what it should be
 *   409  refused, nothing was begun
 *   503  undone: it was begun, and everything is as before */
unsigned page_switchover(struct page_call *call);

#endif
