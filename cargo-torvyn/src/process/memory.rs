//! The peak of the resident memory of this process.

use std::fs;

/// Forgets the peak so far: from now on, it is counted from the memory that is resident now. Returns whether the system can do
/// that.
pub(crate) fn reset_peak() -> bool {
    // 5 resets `VmHWM`: see proc_pid_clear_refs(5).
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// The peak, in bytes, since the process began or since [`reset_peak`]. `None` if the system does not say.
pub(crate) fn peak_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_peak_from_the_last_reset() {
        let touched = |mib: usize| std::hint::black_box(vec![1_u8; mib << 20]).len() as u64;
        let size = touched(64);
        let before = peak_bytes().unwrap();
        assert!(before >= size);
        assert!(reset_peak());
        let after = peak_bytes().unwrap();
        assert!(after <= before - size / 2, "{after} after {before}");
        assert!(peak_bytes().unwrap() >= after);
    }
}
