//! What wakes a worker's tasks from the threads of handlers. Waking a runtime from another thread is a system call; here it is one
//! for all that becomes ready while the worker does something else.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use crate::serve::state::lock;

/// A worker's.
#[derive(Default)]
pub(in crate::serve) struct Bell(Mutex<State>);

#[derive(Default)]
struct State {
    /// Tasks to be woken.
    ready: Vec<Waker>,
    /// Who wakes them, if it has not been woken itself.
    ringer: Option<Waker>,
}

impl Bell {
    /// Has a task woken on the worker's thread.
    pub(super) fn ring(&self, task: Waker) {
        let mut state = lock(&self.0);
        state.ready.push(task);
        let ringer = state.ringer.take();
        drop(state);
        ringer.into_iter().for_each(Waker::wake);
    }

    /// Wakes tasks, on the worker's thread and for ever.
    pub(in crate::serve) async fn answer(self: Arc<Self>) {
        poll_fn(|cx| {
            let mut state = lock(&self.0);
            let ready = std::mem::take(&mut state.ready);
            state.ringer = Some(cx.waker().clone());
            drop(state);
            ready.into_iter().for_each(Waker::wake);
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::{Context, Wake};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn one_wake_for_all_that_is_ready() {
        let (bell, ringer, task) = (Arc::new(Bell::default()), Arc::new(Count::default()), Arc::new(Count::default()));
        let woken = || (ringer.0.load(Relaxed), task.0.load(Relaxed));
        let mut answer = pin!(Arc::clone(&bell).answer());
        let waker = Waker::from(Arc::clone(&ringer));
        let mut cx = Context::from_waker(&waker);
        // What rings before anybody listens is not forgotten.
        bell.ring(Arc::clone(&task).into());
        assert!(answer.as_mut().poll(&mut cx).is_pending() && woken() == (0, 1));
        (0..3).for_each(|_| bell.ring(Arc::clone(&task).into()));
        assert_eq!(woken(), (1, 1));
        assert!(answer.as_mut().poll(&mut cx).is_pending() && woken() == (1, 4));
        bell.ring(Arc::clone(&task).into());
        assert_eq!(woken(), (2, 4));
    }
}
