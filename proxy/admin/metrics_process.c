#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin.h"
#include "metrics_parts.h"

static void print_cpu(FILE *out)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return;
	metrics_begin_common_family("process_cpu_seconds_total", "counter", "Processor time of the process.", out);
	fprintf(out, "process_cpu_seconds_total %.6f\n",
		(double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

/* /proc/self/statm: pages of address space, and of those in memory. */
static void print_memory(FILE *out)
{
	FILE *statm = fopen("/proc/self/statm", "re");
	int64_t page = sysconf(_SC_PAGESIZE), space, resident;
	int count;

	if (statm == NULL)
		return;
	count = fscanf(statm, "%" SCNd64 " %" SCNd64, &space, &resident);
	fclose(statm);
	if (count != 2)
		return;
	metrics_begin_common_family("process_virtual_memory_bytes", "gauge", "Size of the address space.", out);
	fprintf(out, "process_virtual_memory_bytes %" PRId64 "\n", space * page);
	metrics_begin_common_family("process_resident_memory_bytes", "gauge", "Size of what is in memory of it.", out);
	fprintf(out, "process_resident_memory_bytes %" PRId64 "\n", resident * page);
}

static void print_start(const struct admin_sources *sources, FILE *out)
{
	metrics_begin_common_family("process_start_time_seconds", "gauge", "When the process was started, in Unix time.", out);
	fprintf(out, "process_start_time_seconds %.3f\n", (double)sources->started_unix_ms / 1e3);
}

static void print_descriptors(FILE *out)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	metrics_begin_common_family("process_max_fds", "gauge", "File descriptors that the process may have open.", out);
	fprintf(out, "process_max_fds %" PRIu64 "\n", (uint64_t)limit.rlim_cur);
}

/* The open descriptors are not among it: to count them takes milliseconds where
 * there are ten thousand, and weir_clients_connected tells as much. */
void metrics_print_process(const struct admin_sources *sources, FILE *out)
{
	print_cpu(out);
	print_memory(out);
	print_start(sources, out);
	print_descriptors(out);
}
