//! The threads that handlers run on. They are made when they are wanted, and never more than may run at once.
//!
//! Waking a thread costs more than many a handler, and threads beyond the cores take turns at what one after another does sooner: so as
//! many are awake as there are cores. Those that wait for their client do not count, and neither do those that have been at one
//! handler for [long](LONG), as whoever waits for a thread finds out: no handler keeps others from running.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use crate::serve::state::lock;

/// Bytes of a thread's stack: what a guest may use, and as much again for the host.
const STACK: usize = 4 << 20;

/// How long a handler may take before another thread is woken for those that wait behind it.
const LONG: Duration = Duration::from_millis(10);

type Job = Box<dyn FnOnce() + Send>;

/// Threads and what waits for them.
pub(in crate::serve) struct Pool {
    state: Mutex<State>,
    wanted: Condvar,
    cores: usize,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    /// Threads that may run handlers at once.
    most: usize,
    threads: usize,
    /// Threads that wait to be called.
    idle: usize,
    /// Threads that were called and have not noticed yet.
    called: usize,
    /// Threads that count as awake.
    awake: usize,
    running: HashMap<ThreadId, Run>,
    closed: bool,
}

impl State {
    /// The next job, if there is one that may run.
    fn next(&mut self) -> Option<Job> {
        if self.running.len() < self.most { self.queue.pop_front() } else { None }
    }
}

/// A thread's handler.
struct Run {
    since: Instant,
    /// Whether its thread counts as awake.
    counts: bool,
}

impl Pool {
    pub(in crate::serve) fn new() -> Arc<Pool> {
        Pool::for_cores(thread::available_parallelism().map_or(1, usize::from))
    }

    fn for_cores(cores: usize) -> Arc<Pool> {
        Arc::new(Pool { state: Mutex::default(), wanted: Condvar::new(), cores })
    }

    /// Runs `job` on one of up to `threads` threads, after those that wait already, of which there may be `queue`.
    /// False where there are more.
    pub(super) fn submit(self: &Arc<Self>, threads: usize, queue: usize, job: Job) -> bool {
        let mut state = self.lock();
        state.most = threads;
        if state.running.len() + state.queue.len() >= threads + queue {
            return false;
        }
        state.queue.push_back(job);
        self.call(&mut state);
        if state.threads == 0 {
            state.queue.clear();
            return false;
        }
        true
    }

    /// Wakes or makes a thread, if there is something to do and a core for it.
    fn call(self: &Arc<Self>, state: &mut State) {
        if state.queue.is_empty() || state.awake >= self.cores {
            return;
        }
        if state.idle > 0 {
            state.idle -= 1;
            state.called += 1;
            self.wanted.notify_one();
        } else if state.threads < state.most && self.spawn() {
            state.threads += 1;
        } else {
            return;
        }
        state.awake += 1;
    }

    /// Sees to it that what waits does not wait for what takes long.
    pub(super) fn hurry(self: &Arc<Self>) {
        let mut state = self.lock();
        let State { running, awake, .. } = &mut *state;
        for run in running.values_mut().filter(|run| run.counts && run.since.elapsed() >= LONG) {
            run.counts = false;
            *awake -= 1;
        }
        self.call(&mut state);
    }

    /// Does what may take long for other reasons than the handler's that runs on this thread.
    pub(super) fn apart<R>(self: &Arc<Self>, wait: impl FnOnce() -> R) -> R {
        self.count(false);
        let result = wait();
        self.count(true);
        result
    }

    /// Says whether this thread counts as awake.
    fn count(self: &Arc<Self>, counts: bool) {
        let mut state = self.lock();
        let State { running, awake, .. } = &mut *state;
        let Some(run) = running.get_mut(&thread::current().id()) else { return };
        *awake = *awake + usize::from(counts) - usize::from(run.counts);
        *run = Run { since: Instant::now(), counts };
        self.call(&mut state);
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

    fn work(self: &Arc<Self>) {
        let thread = thread::current().id();
        let mut state = self.lock();
        loop {
            if let Some(job) = state.next() {
                state.running.insert(thread, Run { since: Instant::now(), counts: true });
                self.call(&mut state);
                drop(state);
                job();
                state = self.lock();
                if state.running.remove(&thread).is_some_and(|run| !run.counts) {
                    state.awake += 1;
                }
            } else if state.closed {
                return;
            } else {
                state.awake -= 1;
                state.idle += 1;
                let stays = |state: &mut State| state.called == 0 && !state.closed;
                state = self.wanted.wait_while(state, stays).unwrap_or_else(PoisonError::into_inner);
                if state.called > 0 {
                    // Whoever called has counted it.
                    state.called -= 1;
                } else {
                    state.idle -= 1;
                    state.awake += 1;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Jobs that say that they have begun, and end when they are told.
    struct Jobs {
        pool: Arc<Pool>,
        begun: (mpsc::Sender<usize>, mpsc::Receiver<usize>),
    }

    impl Jobs {
        fn new(cores: usize) -> Jobs {
            Jobs { pool: Pool::for_cores(cores), begun: mpsc::channel() }
        }

        /// What ends it, if it was taken. It waits as for a client, or as if it was at work.
        fn submit(&self, number: usize, apart: bool) -> Option<mpsc::Sender<()>> {
            let (go, gate) = mpsc::channel();
            let (pool, begun) = (Arc::clone(&self.pool), self.begun.0.clone());
            let job = move || {
                begun.send(number).unwrap();
                let end = || _ = gate.recv();
                if apart { pool.apart(end) } else { end() }
            };
            self.pool.submit(2, 3, Box::new(job)).then_some(go)
        }

        fn threads(&self) -> usize {
            self.pool.lock().threads
        }

        /// The next that begins.
        fn next(&self) -> usize {
            self.begun.1.recv().unwrap()
        }
    }

    #[test]
    fn no_more_run_and_wait_than_may() {
        let jobs = Jobs::new(8);
        let ends: Vec<_> = (0..9).map_while(|number| jobs.submit(number, false)).collect();
        assert_eq!(ends.len(), 5);
        let mut first = [jobs.next(), jobs.next()];
        first.sort();
        assert_eq!((first, jobs.pool.waiting()), ([0, 1], 3));
        ends.into_iter().for_each(drop);
        assert_eq!([(); 3].map(|()| jobs.next()).iter().sum::<usize>(), 2 + 3 + 4);
        jobs.pool.close();
    }

    #[test]
    fn as_many_are_awake_as_there_are_cores() {
        let jobs = Jobs::new(1);
        let ends: Vec<_> = (0..2).map_while(|number| jobs.submit(number, false)).collect();
        assert_eq!((jobs.next(), jobs.threads(), jobs.pool.waiting()), (0, 1, 1));
        // It is long now that the first has begun, and who waits says so.
        thread::sleep(LONG);
        jobs.pool.hurry();
        assert_eq!((jobs.next(), jobs.threads()), (1, 2));
        drop(ends);
        jobs.pool.close();
    }

    #[test]
    fn who_waits_for_a_client_keeps_nobody_from_running() {
        let jobs = Jobs::new(1);
        let ends: Vec<_> = (0..2).map_while(|number| jobs.submit(number, true)).collect();
        assert_eq!([jobs.next(), jobs.next()], [0, 1]);
        drop(ends);
        // The threads are there for the next.
        let _end = jobs.submit(2, true);
        assert_eq!((jobs.next(), jobs.threads()), (2, 2));
        jobs.pool.close();
    }
}
