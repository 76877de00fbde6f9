//! The last of what was written to consoles, as far as there is room for it.

use std::collections::{BTreeMap, VecDeque};

use rm_libvirt::Uuid;

/// So many bytes are kept of one, the last ones.
const OF_ONE: usize = 64 << 10;
/// So many bytes are kept of all of a host: who has been silent for longest
/// loses what is kept of it.
const OF_ALL: usize = 16 << 20;

#[derive(Debug, Default)]
pub(super) struct Kept {
    of: BTreeMap<Uuid, Tail>,
    /// The room that all of them take.
    room: usize,
    /// Counts what was put.
    puts: u64,
}

#[derive(Debug, Default)]
struct Tail {
    bytes: VecDeque<u8>,
    /// When something was last put.
    put: u64,
}

impl Kept {
    pub(super) fn put(&mut self, uuid: Uuid, piece: &[u8]) {
        self.puts += 1;
        let tail = self.of.entry(uuid).or_default();
        let before = tail.bytes.capacity();
        tail.put = self.puts;
        tail.push(piece);
        self.room = self.room + tail.bytes.capacity() - before;
        while self.room > OF_ALL {
            let silent = self.of.iter().min_by_key(|(_, tail)| tail.put);
            let Some(silent) = silent.map(|(uuid, _)| *uuid) else {
                break;
            };
            self.forget(silent);
        }
    }

    /// The last bytes, at most so many.
    pub(super) fn last(&self, uuid: Uuid, most: usize) -> Vec<u8> {
        let Some(Tail { bytes, .. }) = self.of.get(&uuid) else {
            return Vec::new();
        };
        let from = bytes.len().saturating_sub(most);
        bytes.range(from..).copied().collect()
    }

    pub(super) fn forget(&mut self, uuid: Uuid) {
        if let Some(tail) = self.of.remove(&uuid) {
            self.room -= tail.bytes.capacity();
        }
    }
}

impl Tail {
    fn push(&mut self, piece: &[u8]) {
        let piece = &piece[piece.len().saturating_sub(OF_ONE)..];
        let over = (self.bytes.len() + piece.len()).saturating_sub(OF_ONE);
        self.bytes.drain(..over);
        let wanted = self.bytes.len() + piece.len();
        if wanted > self.bytes.capacity() {
            // Most guests write little, and none has more than its room.
            let room = wanted.next_power_of_two().min(OF_ONE);
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        self.bytes.extend(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uuid(number: u32) -> Uuid {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        Uuid(bytes)
    }

    #[test]
    fn the_last_bytes_are_kept_and_no_more_are_given_than_asked_for() {
        let mut kept = Kept::default();
        assert_eq!(kept.last(uuid(1), 10), b"");
        kept.put(uuid(1), b"Booting");
        kept.put(uuid(1), b" Linux");
        kept.put(uuid(2), b"another");
        assert_eq!(kept.last(uuid(1), usize::MAX), b"Booting Linux");
        assert_eq!(kept.last(uuid(1), 5), b"Linux");
        assert_eq!(kept.last(uuid(1), 0), b"");
        kept.forget(uuid(1));
        assert_eq!(kept.last(uuid(1), 10), b"");
        assert_eq!(kept.last(uuid(2), 10), b"another");
    }

    #[test]
    fn whatever_one_writes_it_has_its_room_and_the_end_is_right() {
        let mut kept = Kept::default();
        let mut all = Vec::new();
        for (number, length) in [1, 4096, 100, OF_ONE - 1, OF_ONE, 3 * OF_ONE, 7]
            .into_iter()
            .enumerate()
        {
            let byte = b'a' + u8::try_from(number).unwrap();
            kept.put(uuid(1), &vec![byte; length]);
            all.extend(vec![byte; length]);
            let from = all.len().saturating_sub(OF_ONE);
            assert!(kept.last(uuid(1), usize::MAX) == all[from..], "{length}");
            assert!(kept.room <= OF_ONE, "{length}: {}", kept.room);
        }
    }

    #[test]
    fn whoever_writes_without_end_all_take_no_more_than_the_room_of_all() {
        let mut kept = Kept::default();
        let piece = [b'x'; OF_ONE / 2];
        for number in (0..1_000).chain(0..1_000).chain(0..1_000) {
            kept.put(uuid(number), &piece);
            assert!(kept.room <= OF_ALL);
        }
        let room: usize = kept.of.values().map(|tail| tail.bytes.capacity()).sum();
        assert_eq!(room, kept.room);
        // Who wrote last is heard of, and who has been silent is not.
        assert_eq!(kept.last(uuid(999), 10), b"xxxxxxxxxx");
        assert_eq!(kept.last(uuid(0), 10), b"");
    }
}
