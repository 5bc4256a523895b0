//! The series of the process itself, read from `/proc`, under the names that the client libraries of Prometheus use.
//! They are rendered here because the seconds of CPU are a counter with a fraction, which the recorder does not have.

use std::{fmt::Write as _, fs, sync::LazyLock};

/// The unit of times in `/proc/self/stat`, in ticks per second. Linux shows 100 on all architectures (`USER_HZ`).
const TICKS: f64 = 100.0;

/// The start of the machine in seconds since 1970, which does not change.
static BOOT: LazyLock<Option<f64>> = LazyLock::new(|| {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
});

/// What is known of a process.
#[derive(Debug, Default, PartialEq)]
struct Facts {
    cpu_seconds: Option<f64>,
    start: Option<f64>,
    threads: Option<f64>,
    resident: Option<f64>,
    virtual_size: Option<f64>,
    open_files: Option<f64>,
    most_files: Option<f64>,
}

/// Returns the series of this process in Prometheus' text format. On a system without `/proc` there are none.
pub(super) fn render() -> String {
    text(&Facts::of_this_process())
}

impl Facts {
    fn of_this_process() -> Self {
        let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let mut facts = Self::parse(&read("stat"), &read("status"), &read("limits"), *BOOT);
        // The directory is open while it is read, and is one of the files that it shows.
        facts.open_files =
            fs::read_dir("/proc/self/fd").ok().map(|files| float(files.count().saturating_sub(1)));
        facts
    }

    fn parse(stat: &str, status: &str, limits: &str, boot: Option<f64>) -> Self {
        // The second field is the name of the program, which may contain blanks and parentheses. The first field after
        // it has the number 3 (proc(5)).
        let fields: Vec<&str> =
            stat.rsplit_once(')').map_or_else(Vec::new, |(_, rest)| rest.split_whitespace().collect());
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let most_files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        Self {
            cpu_seconds: field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS),
            start: field(22).zip(boot).map(|(ticks, boot)| boot + ticks / TICKS),
            threads: field(20),
            resident: resident.and_then(first).map(|kibibytes| kibibytes * 1024.0),
            virtual_size: field(23),
            open_files: None,
            most_files: most_files.and_then(first),
        }
    }
}

fn first(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn float(count: usize) -> f64 {
    count as f64
}

fn text(facts: &Facts) -> String {
    let families = [
        ("process_cpu_seconds_total", "counter", "CPU time of the process", facts.cpu_seconds),
        ("process_start_time_seconds", "gauge", "Start of the process, in seconds since 1970", facts.start),
        ("process_threads", "gauge", "Threads of the process", facts.threads),
        ("process_resident_memory_bytes", "gauge", "Memory of the process that is in RAM", facts.resident),
        (
            "process_virtual_memory_bytes",
            "gauge",
            "Addresses that the process has reserved",
            facts.virtual_size,
        ),
        ("process_open_fds", "gauge", "Open files, connections included", facts.open_files),
        ("process_max_fds", "gauge", "Files that the process may have open", facts.most_files),
    ];
    let mut text = String::new();
    for (name, kind, help, value) in families {
        let Some(value) = value else { continue };
        // Writing to a string does not fail.
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_proc_are_found_whatever_the_name_of_the_program_is() {
        let stat = "17 (tds ) server) S 1 17 17 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 7 0 12345 9961472 1 18446744073709551615";
        let status = "Name:\ttds\nVmRSS:\t   2048 kB\nThreads:\t7\n";
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096      files\n";
        let facts = Facts::parse(stat, status, limits, Some(1_000.0));
        let expected = Facts {
            cpu_seconds: Some(3.0),
            start: Some(1_123.45),
            threads: Some(7.0),
            resident: Some(2_097_152.0),
            virtual_size: Some(9_961_472.0),
            open_files: None,
            most_files: Some(1_024.0),
        };
        assert_eq!(facts, expected);
        assert!(
            text(&facts).contains("# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 3\n")
        );
    }

    #[test]
    fn without_proc_there_are_no_series() {
        assert_eq!(text(&Facts::parse("", "", "", None)), "");
    }
}
