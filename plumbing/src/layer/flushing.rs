//! Flushing what was unpacked so far, while there is more to unpack: the disk works beside the processor, and little is
//! left to wait for at the end.

use std::sync::Arc;
use std::thread::JoinHandle;

use crate::store::Contents;
use crate::{Error, Result};

/// A flush begins after so many bytes of an archive.
const STEP: u64 = 32 << 20;

/// A thread that flushes contents, one at a time. Whoever drops it waits for it: it shares the contents with the batch.
#[derive(Default)]
pub(super) struct Flushing {
    thread: Option<JoinHandle<Result<()>>>,
    /// Up to which byte of the archive flushes have begun.
    begun: u64,
}

impl Flushing {
    /// The archive was unpacked up to `position`: flush, if that is worth it and no flush is under way.
    pub(super) fn passed(&mut self, position: u64, contents: &Arc<Contents>) -> Result<()> {
        if position < self.begun + STEP || self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Ok(());
        }
        self.begin(position, contents)
    }

    /// All `size` bytes of the archive were unpacked; the next one counts anew.
    pub(super) fn ended(&mut self, size: u64, contents: &Arc<Contents>) -> Result<()> {
        if size > STEP {
            self.begin(size, contents)?;
        }
        self.begun = 0;
        Ok(())
    }

    fn begin(&mut self, position: u64, contents: &Arc<Contents>) -> Result<()> {
        self.join()?;
        self.begun = position;
        let contents = contents.clone();
        let thread = std::thread::Builder::new().spawn(move || contents.flush());
        self.thread = Some(thread.map_err(Error::io("start", "a thread"))?);
        Ok(())
    }

    /// Wait for the flush. The kernel reports an error once, so it must not be lost.
    pub(super) fn join(&mut self) -> Result<()> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Flushing {
    fn drop(&mut self) {
        // Only after another error, which is the one to be told; a panic was reported where it happened.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
