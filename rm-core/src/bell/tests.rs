use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use super::Bell;
use crate::id::ResourceId;

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Woken {
    fn times(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn what_rang_before_the_wait_is_not_missed() {
    let bell = Bell::default();
    let heard = bell.rung();
    bell.ring(&[], true);
    let mut after = pin!(bell.after(heard));
    assert!(
        after
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    );
}

#[test]
fn who_waits_for_work_is_not_woken_for_anything_else() {
    let bell = Bell::default();
    let woken: Arc<Woken> = Arc::default();
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    let mut after = pin!(bell.after_work(bell.works()));
    assert!(after.as_mut().poll(&mut cx).is_pending());
    bell.ring(&[], false);
    assert_eq!(woken.times(), 0);
    assert!(after.as_mut().poll(&mut cx).is_pending());
    bell.ring(&[], true);
    assert_eq!(woken.times(), 1);
    assert!(after.as_mut().poll(&mut cx).is_ready());
}

#[test]
fn everybody_who_waits_is_woken_once() {
    let bell = Bell::default();
    let woken: Vec<Arc<Woken>> = (0..3).map(|_| Arc::default()).collect();
    let wakers: Vec<Waker> = woken.iter().map(|w| Waker::from(Arc::clone(w))).collect();
    let mut waits: Vec<_> = wakers.iter().map(|_| Box::pin(bell.after(0))).collect();
    for (wait, waker) in waits.iter_mut().zip(&wakers) {
        // Polled twice, as happens inside a select.
        for _ in 0..2 {
            let mut cx = Context::from_waker(waker);
            assert!(wait.as_mut().poll(&mut cx).is_pending());
        }
    }
    bell.ring(&[], true);
    assert_eq!(woken.iter().map(|w| w.times()).collect::<Vec<_>>(), [1; 3]);
    for (wait, waker) in waits.iter_mut().zip(&wakers) {
        let mut cx = Context::from_waker(waker);
        assert!(wait.as_mut().poll(&mut cx).is_ready());
    }
    bell.ring(&[], true);
    assert_eq!(woken.iter().map(|w| w.times()).collect::<Vec<_>>(), [1; 3]);
}

#[test]
fn who_has_heard_it_waits_for_the_next() {
    let bell = Bell::default();
    bell.ring(&[], true);
    let mut after = pin!(bell.after(bell.rung()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(after.as_mut().poll(&mut cx).is_pending());
    bell.ring(&[], true);
    assert!(after.as_mut().poll(&mut cx).is_ready());
}

/// Requests that wait in vain, one after the other, must not pile up.
#[test]
fn a_task_that_waits_again_and_again_is_remembered_once() {
    let bell = Bell::default();
    let waker = Waker::from(Arc::new(Woken::default()));
    for _ in 0..100 {
        let mut after = pin!(bell.after(0));
        let mut cx = Context::from_waker(&waker);
        assert!(after.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!(bell.lock().waiting.len(), 1);
}

#[test]
fn who_waits_for_one_resource_hears_of_no_other() {
    let [mine, other] = [1, 2].map(|n| ResourceId(uuid::Uuid::from_u128(n)));
    let bell = Bell::default();
    let woken = Arc::<Woken>::default();
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    let mut after = pin!(bell.after_of(bell.rung(), mine));
    assert!(after.as_mut().poll(&mut cx).is_pending());
    bell.ring(&[other], true);
    assert_eq!(woken.times(), 0);
    assert!(after.as_mut().poll(&mut cx).is_pending());
    bell.ring(&[other, mine], true);
    assert_eq!(woken.times(), 1);
    assert!(after.as_mut().poll(&mut cx).is_ready());
}

/// Whatever it was: whoever waits looks once more, and then waits for its own.
#[test]
fn what_rang_between_a_look_and_the_wait_is_not_missed() {
    let bell = Bell::default();
    let heard = bell.rung();
    bell.ring(&[], true);
    let mine = ResourceId(uuid::Uuid::from_u128(1));
    let mut after = pin!(bell.after_of(heard, mine));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(after.as_mut().poll(&mut cx).is_ready());
}

#[test]
fn a_wait_that_is_given_up_leaves_nothing_behind() {
    let bell = Bell::default();
    let mine = ResourceId(uuid::Uuid::from_u128(1));
    let mut cx = Context::from_waker(Waker::noop());
    let mut kept = Box::pin(bell.after_of(0, mine));
    let mut given_up = Box::pin(bell.after_of(0, mine));
    assert!(kept.as_mut().poll(&mut cx).is_pending());
    assert!(given_up.as_mut().poll(&mut cx).is_pending());
    drop(given_up);
    bell.ring(&[mine], true);
    assert!(kept.as_mut().poll(&mut cx).is_ready());
    assert!(bell.lock().of.is_empty());
}
