#ifndef WEIR_PROXY_LIST_H
#define WEIR_PROXY_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* Intrusive doubly linked lists. A link that is in no list points to itself,
 * so taking it out twice is harmless and "is it in a list" is one compare. */

struct list_link {
	struct list_link *next;
	struct list_link *previous;
};

#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Both for a list's head and for a link that is in no list yet. */
static inline void list_init(struct list_link *link)
{
	link->next = link->previous = link;
}

static inline bool list_is_linked(const struct list_link *link)
{
	return link->next != link;
}

static inline bool list_is_empty(const struct list_link *head)
{
	return head->next == head;
}

static inline void list_remove(struct list_link *link)
{
	link->previous->next = link->next;
	link->next->previous = link->previous;
	list_init(link);
}

/* The link must be in no list. */
static inline void list_append(struct list_link *head, struct list_link *link)
{
	link->previous = head->previous;
	link->next = head;
	head->previous->next = link;
	head->previous = link;
}

/* The link must be in no list. */
static inline void list_prepend(struct list_link *head, struct list_link *link)
{
	list_append(head->next, link);
}

/* Appends unless it is in a list already. */
static inline void list_mark(struct list_link *head, struct list_link *link)
{
	if (!list_is_linked(link))
		list_append(head, link);
}

/* Appends it, from whichever list it may be in. */
static inline void list_put(struct list_link *head, struct list_link *link)
{
	list_remove(link);
	list_append(head, link);
}

/* Takes the first link out; NULL when the list is empty. */
static inline struct list_link *list_take(struct list_link *head)
{
	struct list_link *first = head->next;

	if (first == head)
		return NULL;
	head->next = first->next;
	head->next->previous = head;
	list_init(first);
	return first;
}

/* Moves all links of one list into another one, which becomes valid by it. */
static inline void list_move(struct list_link *to, struct list_link *from)
{
	list_init(to);
	if (list_is_empty(from))
		return;
	*to = *from;
	to->next->previous = to->previous->next = to;
	list_init(from);
}

/* The body may remove `link` itself from the list, but no other one. */
#define LIST_EACH(head, link, following)                                                     \
	for ((link) = (head)->next, (following) = (link)->next; (link) != (head);             \
	     (link) = (following), (following) = (link)->next)

#endif
