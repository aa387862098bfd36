//! A file system that is soon full.

use std::path::Path;
use std::process::Command;

/// A file system that is full after a few bytes.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Mounts one of this size, such as `64k`. `None`, with a message, if it cannot be mounted.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    pub fn mount(size: &str) -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder.path());
        if mount.output().is_ok_and(|mounted| mounted.status.success()) {
            return Some(SmallDisk(folder));
        }
        eprintln!("skipped: only root can mount a file system that is full");
        None
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg(self.0.path()).status().ok();
    }
}
