//! A line between two ends which does something wrong at given bytes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::llp) enum Wrong {
    /// The byte is lost.
    Drop,
    /// This bit of it is turned.
    Flip(u8),
    /// It comes twice.
    Repeat,
    /// It and all after it come later by so much.
    Delay(Duration),
    /// The line is closed for both ends when the byte should come.
    Cut,
}

/// Where it goes wrong: at a byte, counted from 0, on its way from one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::llp) struct Fault {
    pub(in crate::llp) from: usize,
    pub(in crate::llp) at: usize,
    pub(in crate::llp) wrong: Wrong,
}

#[derive(Debug, Default)]
struct Direction {
    count: usize,
    /// Bytes under way, in order, with the time they come.
    under_way: VecDeque<(Instant, u8)>,
    late: Duration,
}

pub(super) struct Line<'a> {
    faults: &'a [Fault],
    directions: [Direction; 2],
    cut: bool,
}

impl<'a> Line<'a> {
    pub(super) fn new(faults: &'a [Fault]) -> Self {
        Self { faults, directions: Default::default(), cut: false }
    }

    pub(super) fn put(&mut self, from: usize, bytes: &[u8], now: Instant) {
        let direction = &mut self.directions[from];
        for byte in bytes {
            let at = direction.count;
            direction.count += 1;
            let wrong = self.faults.iter().find(|f| f.from == from && f.at == at).map(|f| f.wrong);
            if let Some(Wrong::Delay(late)) = wrong {
                direction.late = late;
            }
            // A line keeps its order: nothing overtakes a late byte.
            let latest = direction.under_way.back().map(|(time, _)| *time);
            let comes =
                latest.into_iter().chain([now + std::mem::take(&mut direction.late)]).max().unwrap_or(now);
            let byte = if let Some(Wrong::Flip(bit)) = wrong { byte ^ (1 << bit) } else { *byte };
            let times = match wrong {
                Some(Wrong::Drop) => 0,
                Some(Wrong::Repeat) => 2,
                _ => 1,
            };
            self.cut |= wrong == Some(Wrong::Cut);
            direction.under_way.extend(std::iter::repeat_n((comes, byte), times));
        }
    }

    pub(super) fn arrived(&mut self, from: usize, now: Instant) -> Vec<u8> {
        let under_way = &mut self.directions[from].under_way;
        let count = under_way.iter().take_while(|(time, _)| *time <= now).count();
        under_way.drain(..count).map(|(_, byte)| byte).collect()
    }

    pub(super) fn next_arrival(&self) -> Option<Instant> {
        self.directions.iter().filter_map(|d| d.under_way.front()).map(|(time, _)| *time).min()
    }

    /// Whether the line has just been cut; what was under way is lost.
    pub(super) fn cut_now(&mut self) -> bool {
        let cut = std::mem::take(&mut self.cut);
        if cut {
            self.directions.iter_mut().for_each(|d| d.under_way.clear());
        }
        cut
    }

    pub(super) fn counts(&self) -> [usize; 2] {
        [self.directions[0].count, self.directions[1].count]
    }
}
