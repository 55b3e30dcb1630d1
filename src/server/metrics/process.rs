//! The process as the kernel sees it, under the names that every Prometheus client uses. Linux only.

use std::fmt;
use std::fs;

use super::figures::{NO_LABELS, Writer};

/// Clock ticks a second in `/proc`, on every Linux that Rust's standard library runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Writes what `/proc` says; nothing where there is none.
pub(super) fn write(writer: &mut Writer<'_>) -> fmt::Result {
    if let Some(bytes) = status_kib("VmRSS:").map(|kib| kib * 1024) {
        writer
            .gauges(("process_resident_memory_bytes", "Resident memory"), [(NO_LABELS, bytes)])?;
    }
    if let Some(seconds) = cpu_seconds() {
        writer.counters(("process_cpu_seconds", "User and system time"), [(NO_LABELS, seconds)])?;
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        let n = u64::try_from(files.count()).unwrap_or(u64::MAX);
        writer.gauges(("process_open_fds", "Open files and sockets"), [(NO_LABELS, n)])?;
    }
    if let Some(limit) = max_open_files() {
        writer.gauges(("process_max_fds", "Most open files and sockets"), [(NO_LABELS, limit)])?;
    }
    Ok(())
}

fn status_kib(key: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets and may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks = |n| fields.split(' ').nth(n)?.parse::<u32>().ok().map(f64::from);
    // Fields 14 and 15 of the line.
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

fn max_open_files() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
