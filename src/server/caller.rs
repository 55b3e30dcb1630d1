//! Whether anybody still waits for what another thread is doing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whoever waits. Says that it has left when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Caller {
    left: Arc<AtomicBool>,
}

impl Caller {
    /// What the other thread looks at.
    pub(crate) fn left(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.left)
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.left.store(true, Ordering::Relaxed);
    }
}
