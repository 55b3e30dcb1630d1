//! A future that waits beside another one which is woken all the time.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use pin_project_lite::pin_project;

pin_project! {
    /// Polls a future only when it was woken itself.
    pub(super) struct WhenWoken<F> {
        #[pin]
        future: F,
        signal: Arc<Signal>,
        waker: Waker,
    }
}

impl<F> WhenWoken<F> {
    pub(super) fn new(future: F) -> Self {
        let signal = Arc::new(Signal { is_woken: AtomicBool::new(true), task: Mutex::default() });
        Self { future, waker: Waker::from(Arc::clone(&signal)), signal }
    }
}

/// That the future was woken, and whom to tell.
struct Signal {
    is_woken: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Signal {
    fn set_task(&self, waker: &Waker) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl<F: Future> Future for WhenWoken<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        // First who is told, then whether there was anything to tell: between the two no wake is lost.
        this.signal.set_task(cx.waker());
        if !this.signal.is_woken.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        this.future.poll(&mut Context::from_waker(this.waker))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_is_polled_once_for_each_wake_and_not_with_its_neighbour() {
        let (send, receive) = oneshot::channel::<()>();
        let mut n_polls = 0;
        let mut receive = Box::pin(receive);
        let counted = poll_fn(|cx| {
            n_polls += 1;
            receive.as_mut().poll(cx)
        });
        let mut waiting = Box::pin(WhenWoken::new(counted));
        let mut send = Some(send);
        let mut n = 0;
        let received = poll_fn(|cx| {
            n += 1;
            if n == 100 {
                send.take().expect("once").send(()).expect("received");
            }
            cx.waker().wake_by_ref();
            waiting.as_mut().poll(cx)
        });
        received.await.expect("sent");
        drop(waiting);
        assert_eq!(n_polls, 2);
    }
}
