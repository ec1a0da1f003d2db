//! A line of workers: numbers are handed out in order, as long as there is room for what comes of them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::{Error, Result, Store};

/// What the workers may hold at once, in bytes.
const WORKING: u64 = 200 << 20;

/// What waits to be written may take so many bytes before nothing new is begun.
const WAITING: u64 = 32 << 20;

/// The state of the line.
pub(super) struct Line {
    count: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    next: usize,
    written: usize,
    working: u64,
    waiting: u64,
    stopped: bool,
}

/// The room that a worker has; free again when dropped.
pub(super) struct Room<'l> {
    line: &'l Line,
    bytes: u64,
}

impl Line {
    pub(super) fn new(count: usize) -> Self {
        Self { count, state: Mutex::default(), changed: Condvar::new() }
    }

    /// The next number, when there is room for the bytes that it `takes`; `None` at the end. What needs more room than
    /// there is has all of it.
    pub(super) fn begin(&self, takes: impl Fn(usize) -> u64) -> Option<(usize, Room<'_>)> {
        let mut state = self.lock();
        loop {
            if state.stopped || state.next == self.count {
                return None;
            }
            let (number, bytes) = (state.next, takes(state.next));
            let fits = state.working == 0 || state.working + bytes <= WORKING;
            if fits && (state.waiting < WAITING || number == state.written) {
                state.next += 1;
                state.working += bytes;
                return Some((number, Room { line: self, bytes }));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// So many bytes wait to be written.
    pub(super) fn add(&self, bytes: usize) {
        self.lock().waiting += bytes as u64;
    }

    /// The next result was written, and doesn't wait any longer.
    pub(super) fn wrote(&self, bytes: usize) {
        let mut state = self.lock();
        state.written += 1;
        state.waiting -= bytes as u64;
        self.changed.notify_all();
    }

    /// Nothing more is handed out.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.line.lock().working -= self.bytes;
        self.line.changed.notify_all();
    }
}

/// Run `work` on all processors, each with a repository of its own; the first error ends the line.
pub(super) fn run(store: &Store, line: &Line, work: impl Fn(gix::Repository) -> Result<()> + Sync) -> Result<()> {
    let repo = store.repo().clone().into_sync();
    run_with(&repo, line, &work)
}

/// As [`run`], for a thread that has no store.
pub(super) fn run_with(
    repo: &gix::ThreadSafeRepository,
    line: &Line,
    work: &(impl Fn(gix::Repository) -> Result<()> + Sync),
) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let start = |_| {
            scope.spawn(|| {
                let outcome = work(repo.to_thread_local());
                if outcome.is_err() {
                    line.stop();
                }
                outcome
            })
        };
        let workers: Vec<_> = (0..threads).map(start).collect();
        let panicked = |_| Err(Error::damaged("a worker", "it ended without a result"));
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(panicked)).fold(Ok(()), Result::and)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_in_order_while_there_is_room() {
        let line = Line::new(3);
        let (first, room) = line.begin(|_| WORKING - 1).unwrap();
        let (second, _) = line.begin(|_| 1).unwrap();
        assert_eq!((first, second), (0, 1));
        drop(room);
        // More than there is room for, and more waiting than should.
        line.add(WAITING as usize);
        line.wrote(0);
        line.wrote(0);
        let (third, _room) = line.begin(|_| 2 * WORKING).unwrap();
        assert_eq!(third, 2);
        assert!(line.begin(|_| 0).is_none());
    }

    #[test]
    fn a_line_that_is_stopped_hands_out_nothing() {
        let line = Line::new(3);
        line.stop();
        assert!(line.begin(|_| 0).is_none());
    }
}
