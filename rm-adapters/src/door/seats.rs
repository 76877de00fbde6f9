//! Seats: how many lines a door has, and who gives way.
//!
//! Whoever has opened a line and asked nothing on it yet has shown nothing, no
//! certificate and no token. Such a silent line keeps nobody out: when all
//! seats are taken, the oldest silent one goes, and one address has a quarter
//! of the seats for its silent ones at the most. Who has asked something keeps
//! the seat until the line ends.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The seats of a door.
#[derive(Debug)]
pub(super) struct Seats {
    most: usize,
    share: usize,
    table: Mutex<Table>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// By number, so that the oldest is the first.
    taken: BTreeMap<u64, Taken>,
}

#[derive(Debug)]
struct Taken {
    from: IpAddr,
    silent: bool,
    end: Arc<Notify>,
}

impl Table {
    fn silent(&self) -> impl Iterator<Item = (u64, &Taken)> {
        self.taken
            .iter()
            .filter(|(_, taken)| taken.silent)
            .map(|(number, taken)| (*number, taken))
    }

    fn end(&mut self, number: u64) {
        if let Some(taken) = self.taken.remove(&number) {
            taken.end.notify_one();
        }
    }
}

impl Seats {
    /// So many, and one at the least.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        Self {
            most,
            share: (most / 4).max(1),
            table: Mutex::default(),
            freed: Notify::new(),
        }
    }

    /// A seat for a line from this address; waits while nobody can give way.
    /// One waits at a time.
    pub(super) async fn take(self: &Arc<Self>, from: IpAddr) -> Seat {
        let from = origin(from);
        loop {
            if let Some(seat) = self.free(from) {
                return seat;
            }
            self.freed.notified().await;
        }
    }

    fn free(self: &Arc<Self>, from: IpAddr) -> Option<Seat> {
        let mut table = self.table();
        let theirs: Vec<u64> = table
            .silent()
            .filter(|(_, taken)| taken.from == from)
            .map(|(number, _)| number)
            .collect();
        if let Some(oldest) = theirs.first().filter(|_| theirs.len() >= self.share) {
            table.end(*oldest);
        }
        if table.taken.len() >= self.most {
            let oldest = table.silent().next().map(|(number, _)| number)?;
            table.end(oldest);
        }
        let number = table.next;
        table.next += 1;
        let end = Arc::new(Notify::new());
        let taken = Taken {
            from,
            silent: true,
            end: Arc::clone(&end),
        };
        table.taken.insert(number, taken);
        Some(Seat {
            number,
            end,
            seats: Arc::clone(self),
        })
    }

    /// Ends all silent lines: there is nothing to wait for.
    pub(super) fn close(&self) {
        let mut table = self.table();
        let silent: Vec<u64> = table.silent().map(|(number, _)| number).collect();
        for number in silent {
            table.end(number);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A seat that is taken; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    number: u64,
    end: Arc<Notify>,
    seats: Arc<Seats>,
}

impl Seat {
    /// Something was asked on this line.
    pub(super) fn asked(&self) {
        if let Some(taken) = self.seats.table().taken.get_mut(&self.number) {
            taken.silent = false;
        }
    }

    /// Ends when the line is to give way.
    pub(super) async fn given_away(&self) {
        self.end.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.table().taken.remove(&self.number);
        self.seats.freed.notify_one();
    }
}

/// What is counted as one: an address, or a network where everybody has many.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from((u128::from(v6) >> 64) << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn from(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// A seat that is free at once.
    fn seat(seats: &Arc<Seats>, address: &str) -> Seat {
        seats.take(from(address)).now_or_never().unwrap()
    }

    fn is_over(seat: &Seat) -> bool {
        seat.given_away().now_or_never().is_some()
    }

    #[test]
    fn one_address_that_says_nothing_gives_way_to_itself() {
        let seats = Arc::new(Seats::new(8));
        let other = seat(&seats, "10.0.0.9");
        let many: Vec<Seat> = (0..20).map(|_| seat(&seats, "10.0.0.1")).collect();
        let over: Vec<bool> = many.iter().map(is_over).collect();
        assert_eq!(over[..18], [true; 18]);
        assert_eq!(over[18..], [false; 2]);
        assert!(!is_over(&other));
    }

    #[test]
    fn a_network_of_one_owner_is_one_address() {
        let seats = Arc::new(Seats::new(8));
        let many: Vec<Seat> = (0..3)
            .map(|n| seat(&seats, &format!("2001:db8::{n}")))
            .collect();
        assert!(is_over(&many[0]) && !is_over(&many[1]) && !is_over(&many[2]));
        let mapped = seat(&seats, "::ffff:10.0.0.1");
        let more: Vec<Seat> = (0..2).map(|_| seat(&seats, "10.0.0.1")).collect();
        assert!(is_over(&mapped) && !is_over(&more[0]));
    }

    #[test]
    fn when_all_are_taken_the_oldest_silent_one_goes_and_nobody_who_has_asked() {
        let seats = Arc::new(Seats::new(4));
        let lines: Vec<Seat> = (0..4)
            .map(|n| seat(&seats, &format!("10.0.0.{n}")))
            .collect();
        lines[0].asked();
        lines[2].asked();
        let next = seat(&seats, "10.0.1.1");
        assert_eq!(
            lines.iter().map(is_over).collect::<Vec<_>>(),
            [false, true, false, false]
        );
        next.asked();
        lines[3].asked();
        assert!(seats.take(from("10.0.1.2")).now_or_never().is_none());
        drop(next);
        assert!(seats.take(from("10.0.1.2")).now_or_never().is_some());
    }

    #[test]
    fn who_has_said_nothing_is_not_waited_for_at_the_end() {
        let seats = Arc::new(Seats::new(8));
        let (silent, asked) = (seat(&seats, "10.0.0.1"), seat(&seats, "10.0.0.2"));
        asked.asked();
        seats.close();
        assert!(is_over(&silent) && !is_over(&asked));
    }
}
