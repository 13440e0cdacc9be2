/* Histograms are kept finely (latency.h) and told coarsely: the limits below are
 * ends of buckets, so that nothing is guessed. Counts and sums are read while
 * workers count on; a scrape may miss what is being counted just then. */
#include <inttypes.h>
#include <stddef.h>

#include "../../topology/topology.h"
#include "admin.h"
#include "../measures/measures.h"
#include "metrics_parts.h"

/* Microseconds: 25, and so many doublings of it. */
enum { FIRST_LIMIT_US = 25, LIMITS = 19 };

/* `label` and `value` tell which one of the family it is; NULL: it is alone. */
static void print_labels(const char *label, const char *value, FILE *out)
{
	if (label == NULL)
		return;
	fprintf(out, "%s=", label);
	metrics_print_quoted(value, out);
}

static void print_histogram(const char *name, const char *label, const char *value, const struct latency_sum *sum,
			    FILE *out)
{
	for (int i = 0; i < LIMITS; i++) {
		uint64_t limit_us = (uint64_t)FIRST_LIMIT_US << i;

		fprintf(out, "weir_%s_bucket{", name);
		print_labels(label, value, out);
		fprintf(out, "%sle=\"%g\"} %" PRIu64 "\n", label == NULL ? "" : ",", (double)limit_us / 1e6,
			latency_sum_below(sum, limit_us));
	}
	fprintf(out, "weir_%s_bucket{", name);
	print_labels(label, value, out);
	fprintf(out, "%sle=\"+Inf\"} %" PRIu64 "\n", label == NULL ? "" : ",", sum->count);
	fprintf(out, "weir_%s_sum%s", name, label == NULL ? "" : "{");
	print_labels(label, value, out);
	fprintf(out, "%s %.6f\n", label == NULL ? "" : "}", (double)sum->sum_us / 1e6);
	fprintf(out, "weir_%s_count%s", name, label == NULL ? "" : "{");
	print_labels(label, value, out);
	fprintf(out, "%s %" PRIu64 "\n", label == NULL ? "" : "}", sum->count);
}

static void print_classes(const struct admin_sources *sources, FILE *out)
{
	metrics_begin_family("command_duration_seconds", "histogram",
			     "From when weir had a command until it had the whole reply.", out);
	for (int class = 0; class < LATENCY_CLASS_COUNT; class++) {
		struct latency_sum sum;

		measures_sum_class(sources->measures, sources->measures_count, (enum latency_class)class, &sum);
		print_histogram("command_duration_seconds", "class", latency_class_name((enum latency_class)class), &sum, out);
	}
}

static void print_nodes(const struct admin_sources *sources, const struct topology_view *view, FILE *out)
{
	metrics_begin_family("node_duration_seconds", "histogram",
			     "From when a request was written to the server until its whole reply was read.", out);
	for (size_t i = 0; i < view->node_count; i++) {
		struct latency_sum sum;

		measures_sum_node(sources->measures, sources->measures_count, view->nodes[i].id, &sum);
		print_histogram("node_duration_seconds", "node", view->nodes[i].name, &sum, out);
	}
}

static void print_workers(const struct admin_sources *sources, FILE *out)
{
	struct latency_sum sum = { 0 };

	for (size_t i = 0; i < sources->measures_count; i++)
		latency_sum_add(&sum, &sources->measures[i]->loop_lag);
	metrics_begin_family("loop_lag_seconds", "histogram", "How late the workers' ticks were.", out);
	print_histogram("loop_lag_seconds", NULL, NULL, &sum, out);
	metrics_begin_family("worker_cpu_seconds_total", "counter", "Processor time of each worker.", out);
	for (size_t i = 0; i < sources->measures_count; i++)
		fprintf(out, "weir_worker_cpu_seconds_total{worker=\"%zu\"} %.6f\n", i,
			(double)measures_cpu_ns(sources->measures[i]) / 1e9);
}

void metrics_print_measures(const struct admin_sources *sources, const struct topology_view *view, FILE *out)
{
	print_classes(sources, out);
	print_nodes(sources, view, out);
	print_workers(sources, out);
}
