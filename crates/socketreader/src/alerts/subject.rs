//! How often somebody is told about the same thing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::condition::{Condition, Kind};
use crate::backoff::Backoff;

/// The longest pause before a call that has failed is tried again: the command may take long, and others wait for it.
const MOST: Duration = Duration::from_secs(300);

/// A connection, or the whole process: what was told about it.
#[derive(Debug)]
pub(super) struct Subject {
    /// What was so at the last look.
    standing: BTreeMap<Kind, Condition>,
    /// What was told and is to be followed by a word that it is over, whether it still is so or not.
    told: BTreeMap<Kind, Condition>,
    /// When somebody was told last that something is wrong.
    last: Option<Instant>,
    /// How many dead letters were told.
    dead: u64,
    /// How often something has begun since somebody was told.
    begun: u32,
    /// What nobody could be told, although it was time, whether it still is so or not.
    owed: Option<BTreeMap<Kind, Condition>>,
    /// When a call that has failed is tried again.
    again: Option<Instant>,
    backoff: Backoff,
}

impl Default for Subject {
    fn default() -> Subject {
        Subject {
            standing: BTreeMap::new(),
            told: BTreeMap::new(),
            last: None,
            dead: 0,
            begun: 0,
            owed: None,
            again: None,
            backoff: Backoff::up_to(MOST),
        }
    }
}

/// What follows from a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// What was not so before.
    pub(super) news: Vec<Condition>,
    pub(super) call: Option<Call>,
}

/// What somebody is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Something is wrong.
    Alert {
        /// What is so now.
        conditions: Vec<Condition>,
        /// Dead letters since somebody was told.
        dead: u64,
        /// How often something has begun since then; more than there are now if some of it came and went.
        begun: u32,
    },
    /// All that was told is over.
    Recovered(Vec<Condition>),
}

impl Subject {
    /// What is so `now`, and how many dead letters there were so far: whom it concerns hears of it at most once in
    /// `interval`, and once when it is over.
    pub(super) fn turn(
        &mut self,
        conditions: Vec<Condition>,
        dead: u64,
        now: Instant,
        interval: Duration,
    ) -> Turn {
        let now_so: BTreeMap<Kind, Condition> =
            conditions.into_iter().map(|condition| (condition.kind.clone(), condition)).collect();
        let news: Vec<Condition> = now_so
            .iter()
            .filter(|(kind, _)| !self.standing.contains_key(kind))
            .map(|(_, new)| new.clone())
            .collect();
        self.begun = self.begun.saturating_add(u32::try_from(news.len()).unwrap_or(u32::MAX));
        self.standing = now_so;
        if dead < self.dead {
            // The connection has begun anew with another configuration, and so has its count.
            self.dead = 0;
        }
        Turn { news, call: self.call(dead, now, interval) }
    }

    fn call(&mut self, dead: u64, now: Instant, interval: Duration) -> Option<Call> {
        let is_told = |(kind, condition): (&Kind, &Condition)| {
            self.told.get(kind).is_some_and(|told| told.since == condition.since)
        };
        if self.again.is_some_and(|again| now < again) {
            return None;
        }
        let is_untold = self.owed.is_some() || !self.standing.iter().all(is_told) || dead > self.dead;
        let is_due = self.owed.is_some()
            || self.last.is_none_or(|last| now.saturating_duration_since(last) >= interval);
        if is_untold && is_due {
            let mut conditions = self.owed.take().unwrap_or_default();
            conditions.extend(self.standing.clone());
            self.told.extend(conditions.clone());
            self.last = Some(now);
            let call = Call::Alert {
                conditions: conditions.into_values().collect(),
                dead: dead.saturating_sub(self.dead),
                begun: std::mem::take(&mut self.begun),
            };
            self.dead = dead;
            return Some(call);
        }
        if self.standing.is_empty() && !self.told.is_empty() {
            return Some(Call::Recovered(std::mem::take(&mut self.told).into_values().collect()));
        }
        None
    }

    /// Somebody was told.
    pub(super) fn succeeded(&mut self) {
        self.again = None;
        self.backoff.reset();
    }

    /// Nobody could be told: all is as before the call, which is due again after the pause that this gives.
    pub(super) fn failed(&mut self, call: Call, now: Instant) -> Duration {
        let by_kind = |condition: Condition| (condition.kind.clone(), condition);
        match call {
            Call::Alert { conditions, dead, begun } => {
                self.told.retain(|kind, _| !conditions.iter().any(|condition| condition.kind == *kind));
                self.owed = Some(conditions.into_iter().map(by_kind).collect());
                self.dead = self.dead.saturating_sub(dead);
                self.begun = self.begun.saturating_add(begun);
            }
            Call::Recovered(conditions) => self.told.extend(conditions.into_iter().map(by_kind)),
        }
        let pause = self.backoff.pause();
        self.again = Some(now + pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    const INTERVAL: Duration = Duration::from_secs(900);

    /// A subject whose clock says so many seconds.
    struct Clock(Instant, Subject, Option<Call>);

    impl Clock {
        fn new() -> Clock {
            Clock(Instant::now(), Subject { dead: 5, ..Subject::default() }, None)
        }

        /// The same, where nobody can be told.
        fn fails_at(&mut self, seconds: u64, conditions: &[(Kind, u64)], dead: u64) -> String {
            let told = self.look(seconds, conditions, dead);
            if let Some(call) = self.2.take() {
                self.1.failed(call, self.0 + Duration::from_secs(seconds));
            }
            told
        }

        /// The call after a look, which succeeds.
        fn at(&mut self, seconds: u64, conditions: &[(Kind, u64)], dead: u64) -> String {
            let told = self.look(seconds, conditions, dead);
            if self.2.is_some() {
                self.1.succeeded();
            }
            told
        }

        /// The call after a look: `!` with the conditions, the dead letters and what has begun, or `=`.
        fn look(&mut self, seconds: u64, conditions: &[(Kind, u64)], dead: u64) -> String {
            let conditions = conditions.iter().map(|(kind, since)| Condition {
                kind: kind.clone(),
                since: SystemTime::UNIX_EPOCH + Duration::from_secs(*since),
                text: String::new(),
                message: None,
            });
            let now = self.0 + Duration::from_secs(seconds);
            let words = |conditions: &[Condition]| {
                conditions.iter().map(|condition| format!(" {}", condition.kind.word())).collect::<String>()
            };
            let call = self.1.turn(conditions.collect(), dead, now, INTERVAL).call;
            let told = match &call {
                None => String::new(),
                Some(Call::Alert { conditions, dead, begun }) => {
                    format!("!{} {dead} {begun}", words(conditions))
                }
                Some(Call::Recovered(conditions)) => format!("={}", words(conditions)),
            };
            self.2 = call;
            told
        }
    }

    #[test]
    fn what_lasts_is_told_once_and_that_it_is_over_once() {
        let mut clock = Clock::new();
        assert_eq!(clock.at(0, &[], 5), "");
        assert_eq!(clock.at(1, &[(Kind::Held, 1)], 5), "! queue held 0 1");
        assert_eq!(clock.at(2, &[(Kind::Held, 1)], 5), "");
        assert_eq!(clock.at(5000, &[(Kind::Held, 1)], 5), "");
        assert_eq!(clock.at(5001, &[], 5), "= queue held");
        assert_eq!(clock.at(5002, &[], 5), "");
    }

    #[test]
    fn at_most_one_in_the_interval_and_then_with_a_count() {
        let mut clock = Clock::new();
        assert_eq!(clock.at(1, &[], 6), "! 1 0");
        for second in 2..=900 {
            assert_eq!(clock.at(second, &[], 5 + second), "", "{second}");
        }
        assert_eq!(clock.at(901, &[], 906), "! 900 0");
        assert_eq!(clock.at(902, &[], 906), "");
    }

    #[test]
    fn what_comes_and_goes_is_counted() {
        let mut clock = Clock::new();
        let mut heard = Vec::new();
        for second in 0..1000 {
            let conditions = [(Kind::Down, second)];
            let call = clock.at(second, &conditions[usize::from(second % 2 == 1)..], 5);
            if !call.is_empty() {
                heard.push((second, call));
            }
        }
        let expected = [
            (0, "! no receiver 0 1"),
            (1, "= no receiver"),
            (900, "! no receiver 0 450"),
            (901, "= no receiver"),
        ];
        assert_eq!(heard, expected.map(|(second, call)| (second, call.to_owned())));
    }

    #[test]
    fn a_further_condition_is_told_when_it_is_time_and_recovery_is_of_all() {
        let mut clock = Clock::new();
        assert_eq!(clock.at(0, &[(Kind::Down, 0)], 5), "! no receiver 0 1");
        assert_eq!(clock.at(10, &[(Kind::Down, 0), (Kind::Old, 10)], 5), "");
        assert_eq!(
            clock.at(900, &[(Kind::Down, 0), (Kind::Old, 10)], 5),
            "! no receiver messages wait too long 0 1"
        );
        assert_eq!(clock.at(901, &[(Kind::Old, 10)], 5), "");
        assert_eq!(clock.at(902, &[], 5), "= no receiver messages wait too long");
    }

    #[test]
    fn dead_letters_are_no_condition_that_ends() {
        let mut clock = Clock::new();
        assert_eq!(clock.at(0, &[], 8), "! 3 0");
        assert_eq!(clock.at(1, &[], 8), "");
    }

    #[test]
    fn a_count_that_begins_anew() {
        let mut clock = Clock::new();
        assert_eq!(clock.at(0, &[], 0), "");
        assert_eq!(clock.at(1, &[], 2), "! 2 0");
    }

    #[test]
    fn what_nobody_could_be_told_is_told_again_after_a_pause() {
        let mut clock = Clock::new();
        let held = [(Kind::Held, 1)];
        assert_eq!(clock.fails_at(1, &held, 7), "! queue held 2 1");
        assert_eq!(clock.at(1, &held, 7), "");
        assert_eq!(clock.fails_at(2, &held, 7), "! queue held 2 1");
        assert_eq!(clock.at(3, &held, 7), "", "the pause grows");
        assert_eq!(
            clock.at(4, &[(Kind::Old, 3)], 8),
            "! queue held messages wait too long 3 2",
            "what is over too"
        );
        assert_eq!(clock.at(5, &[(Kind::Old, 3)], 8), "");
        assert_eq!(clock.fails_at(6, &[], 8), "= queue held messages wait too long");
        assert_eq!(clock.at(6, &[], 9), "");
        assert_eq!(clock.at(7, &[], 9), "= queue held messages wait too long");
        assert_eq!(clock.at(903, &[], 9), "", "a word that it is over begins no interval");
        assert_eq!(clock.at(904, &[], 9), "! 1 0");
    }

    #[test]
    fn the_pauses_between_calls_that_fail_are_bounded() {
        let mut clock = Clock::new();
        let times: Vec<u64> =
            (1..2000).filter(|second| !clock.fails_at(*second, &[], 6).is_empty()).collect();
        assert_eq!(times, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 812, 1112, 1412, 1712]);
    }

    #[test]
    fn subjects_that_came_back_while_nobody_could_be_told_are_told_anew() {
        let mut clock = Clock::new();
        assert_eq!(
            clock.at(0, &[(Kind::Down, 0), (Kind::Old, 0)], 5),
            "! no receiver messages wait too long 0 2"
        );
        assert_eq!(clock.at(10, &[(Kind::Old, 0)], 5), "");
        assert_eq!(clock.at(20, &[(Kind::Down, 20), (Kind::Old, 0)], 5), "");
        assert_eq!(
            clock.at(900, &[(Kind::Down, 20), (Kind::Old, 0)], 5),
            "! no receiver messages wait too long 0 1"
        );
    }
}
