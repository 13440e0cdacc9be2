#include "measures.h"

#include <pthread.h>
#include <stdlib.h>

#include "../clock.h"

const char *latency_class_name(enum latency_class class)
{
	static const char *const names[] = {
		[LATENCY_READ] = "read",
		[LATENCY_WRITE] = "write",
		[LATENCY_LOCAL] = "local",
	};

	return names[class];
}

void measures_begin(struct measures *measures)
{
	if (pthread_getcpuclockid(pthread_self(), &measures->cpu) == 0)
		atomic_store_explicit(&measures->runs, true, memory_order_release);
}

void measures_end(struct measures *measures)
{
	atomic_store_explicit(&measures->runs, false, memory_order_relaxed);
}

void measures_sum_class(const struct measures *const *all, size_t count, enum latency_class class,
			struct latency_sum *sum)
{
	*sum = (struct latency_sum){ 0 };
	for (size_t i = 0; i < count; i++)
		latency_sum_add(sum, &all[i]->classes[class]);
}

void measures_sum_node(const struct measures *const *all, size_t count, uint32_t node_id, struct latency_sum *sum)
{
	*sum = (struct latency_sum){ 0 };
	for (size_t i = 0; i < count && node_id < MEASURES_NODES; i++)
		latency_sum_add(sum, &all[i]->nodes[node_id]);
}

int64_t measures_cpu_ns(const struct measures *measures)
{
	struct timespec used;

	if (!atomic_load_explicit(&measures->runs, memory_order_acquire) || clock_gettime(measures->cpu, &used) != 0)
		return 0;
	return used.tv_sec * (int64_t)CLOCK_NS_PER_S + used.tv_nsec;
}

void measures_forget_node(struct measures *measures, uint32_t node_id)
{
	if (node_id < MEASURES_NODES)
		latency_forget(&measures->nodes[node_id]);
}

void measures_fini(struct measures *measures)
{
	for (size_t i = 0; i < COMMAND_NAMES_MAX; i++)
		free(atomic_load_explicit(&measures->commands[i].latency, memory_order_relaxed));
}

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

void measures_sum_command(const struct measures *const *all, size_t count, uint16_t number, struct command_sum *sum)
{
	*sum = (struct command_sum){ 0 };
	for (size_t i = 0; i < count; i++) {
		const struct command_measure *command = &all[i]->commands[number];

		sum->calls += load(&command->calls);
		sum->failed += load(&command->failed);
		sum->rejected += load(&command->rejected);
		sum->timed += load(&command->timed);
		sum->us += load(&command->us);
	}
}

void measures_sum_command_latency(const struct measures *const *all, size_t count, uint16_t number,
				  struct latency_sum *sum)
{
	*sum = (struct latency_sum){ 0 };
	for (size_t i = 0; i < count; i++) {
		const struct latency *latency =
			atomic_load_explicit(&all[i]->commands[number].latency, memory_order_acquire);

		if (latency != NULL)
			latency_sum_add(sum, latency);
	}
}
