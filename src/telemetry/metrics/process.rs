//! The metrics of the process, under the usual names of Prometheus clients. They are read from `/proc` at each request for
//! the metrics; without `/proc` there are none.

use std::fmt::Write as _;
use std::fs;

/// Ticks per second in `/proc/…/stat`: 100 on every Linux that this program is built for.
const TICKS: f64 = 100.0;

/// Adds the metrics of the process, in the OpenMetrics text format.
pub(super) fn write(out: &mut String) {
    for (name, kind, help, value) in read() {
        let sample = if kind == "counter" { "_total" } else { "" };
        // A `String` takes whatever is written.
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{sample} {value}\n");
    }
}

type Metric = (&'static str, &'static str, &'static str, f64);

fn read() -> Vec<Metric> {
    let mut metrics = Vec::new();
    let mut add = |name, kind, help, value: Option<f64>| {
        metrics.extend(value.map(|value| -> Metric { (name, kind, help, value) }));
    };
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in brackets, may hold spaces.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_ascii_whitespace().collect()).unwrap_or_default();
    // By the field numbers of proc(5): they begin with 1, and field 3 is the first after the name.
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    let cpu = field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS);
    add("process_cpu_seconds", "counter", "CPU time used.", cpu);
    add("process_threads", "gauge", "Threads.", field(20));
    add("process_virtual_memory_bytes", "gauge", "Virtual memory.", field(23));
    let number_after = |file: &str, name: &str| {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse::<f64>().ok()
    };
    let resident = number_after("/proc/self/status", "VmRSS:").map(|kib| kib * 1024.0);
    add("process_resident_memory_bytes", "gauge", "Memory in use.", resident);
    let booted = number_after("/proc/stat", "btime ");
    let began = booted.zip(field(22)).map(|(booted, ticks)| booted + ticks / TICKS);
    add("process_start_time_seconds", "gauge", "When the process started, in Unix seconds.", began);
    let open = fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
    let open = open.and_then(|open| u32::try_from(open).ok()).map(f64::from);
    add("process_open_fds", "gauge", "Open files.", open);
    add("process_max_fds", "gauge", "Files that may be open.", super::max_open_files().map(|(now, _)| now));
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_this_process_are_read() {
        let metrics = read();
        let names: Vec<&str> = metrics.iter().map(|(name, ..)| *name).collect();
        assert_eq!(
            names,
            [
                "process_cpu_seconds",
                "process_threads",
                "process_virtual_memory_bytes",
                "process_resident_memory_bytes",
                "process_start_time_seconds",
                "process_open_fds",
                "process_max_fds",
            ]
        );
        for (name, _, _, value) in metrics {
            assert!(value.is_finite() && value >= 0.0, "{name} is {value}");
            assert!(name != "process_start_time_seconds" || value > 1_700_000_000.0, "{value}");
        }
    }
}
