//! The threads that handlers run on. They are made when they are wanted, and never more than may run at once.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Bytes of a thread's stack: what a guest may use, and as much again for the host.
const STACK: usize = 4 << 20;

type Job = Box<dyn FnOnce() + Send>;

/// Threads and what waits for them.
#[derive(Default)]
pub(in crate::serve) struct Pool {
    state: Mutex<State>,
    wanted: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Pool {
    pub(in crate::serve) fn new() -> Arc<Pool> {
        Arc::default()
    }

    /// Runs `job` on one of up to `threads` threads, after those that wait already, of which there may be `queue`.
    /// False where there are more.
    pub(super) fn submit(self: &Arc<Self>, threads: usize, queue: usize, job: Job) -> bool {
        let mut state = self.lock();
        let busy = state.idle <= state.queue.len();
        if busy && state.threads < threads && self.spawn() {
            state.threads += 1;
        } else if busy && state.queue.len() >= queue + state.idle || state.threads == 0 {
            return false;
        }
        state.queue.push_back(job);
        let wake = state.idle > 0;
        drop(state);
        if wake {
            self.wanted.notify_one();
        }
        true
    }

    /// Jobs that wait.
    pub(in crate::serve) fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    /// Lets its threads end.
    pub(in crate::serve) fn close(&self) {
        self.lock().closed = true;
        self.wanted.notify_all();
    }

    fn spawn(self: &Arc<Self>) -> bool {
        let pool = Arc::clone(self);
        let thread = thread::Builder::new().name("kitbag handler".to_owned()).stack_size(STACK);
        thread.spawn(move || pool.work()).is_ok()
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            job();
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            match state.queue.pop_front() {
                Some(job) => return Some(job),
                None if state.closed => return None,
                None => {
                    state.idle += 1;
                    state = self.wanted.wait(state).unwrap_or_else(PoisonError::into_inner);
                    state.idle -= 1;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn no_more_run_and_wait_than_may() {
        let pool = Pool::new();
        let (go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let (done, ended) = mpsc::channel();
        let submit = || {
            let (gate, done) = (Arc::clone(&gate), done.clone());
            pool.submit(
                2,
                3,
                Box::new(move || {
                    gate.lock().unwrap().recv().unwrap();
                    done.send(()).unwrap();
                }),
            )
        };
        let mut accepted = 0;
        // Two threads may have taken a job each or not yet: then these still wait.
        while submit() {
            accepted += 1;
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert!(accepted <= 5);
        }
        assert_eq!(accepted, 5);
        for _ in 0..5 {
            go.send(()).unwrap();
            ended.recv().unwrap();
        }
        pool.close();
    }
}
