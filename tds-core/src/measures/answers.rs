//! How long the program's own answers take.

use std::time::Duration;

use time::OffsetDateTime;

use crate::closed_set::closed_set;

closed_set! {
    /// The kind of an answer.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum AnswerKind {
        /// An answer to a delivery of the source.
        Webhook = "webhook",
        /// An answer of the operators' interface.
        Api = "api",
    }
}

/// The times of some answers of one kind: their number, their sum, and how many are in each class of duration.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AnswerTimes {
    /// The number of answers.
    pub answers: u64,
    /// The number of these answers that report a fault of the program.
    pub faults: u64,
    /// The sum of the times in seconds.
    pub seconds: f64,
    /// The number of answers in each class. Class `n` has the answers that took at most `BOUNDS_MS[n]` milliseconds and
    /// longer than the class before; the last class has all others.
    pub classes: [u64; AnswerTimes::CLASSES],
}

impl AnswerTimes {
    /// The upper bounds of the classes in milliseconds. The last class has none.
    pub const BOUNDS_MS: [u64; 10] = [5, 10, 25, 50, 100, 200, 500, 1_000, 2_500, 10_000];
    /// The number of classes.
    pub const CLASSES: usize = Self::BOUNDS_MS.len() + 1;

    /// Adds one answer.
    pub fn add(&mut self, took: Duration, is_fault: bool) {
        self.answers += 1;
        self.faults += u64::from(is_fault);
        self.seconds += took.as_secs_f64();
        let class = Self::BOUNDS_MS.iter().position(|bound| took <= Duration::from_millis(*bound));
        self.classes[class.unwrap_or(Self::CLASSES - 1)] += 1;
    }

    /// Adds the times of other answers.
    pub fn merge(&mut self, other: &Self) {
        self.answers += other.answers;
        self.faults += other.faults;
        self.seconds += other.seconds;
        for (class, more) in self.classes.iter_mut().zip(other.classes) {
            *class += more;
        }
    }

    /// Returns the mean time in milliseconds; `None` if there are no answers.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a mean needs no more than a float has")]
    pub fn mean_ms(&self) -> Option<f64> {
        (self.answers > 0).then(|| self.seconds * 1_000.0 / self.answers as f64)
    }

    /// Returns a time in milliseconds that at least this share of the answers did not exceed: the bound of a class.
    /// `None` if there are no answers, or if the share reaches into the last class.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than a float has")]
    pub fn at_most_ms(&self, share: f64) -> Option<u64> {
        let (mut seen, wanted) = (0, self.answers as f64 * share);
        Self::BOUNDS_MS
            .iter()
            .zip(self.classes)
            .find(|(_, answers)| {
                seen += answers;
                self.answers > 0 && seen as f64 >= wanted
            })
            .map(|(bound, _)| *bound)
    }
}

/// The times of the answers of one kind in one hour.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerCount {
    /// The beginning of the hour.
    pub hour: OffsetDateTime,
    /// The kind of the answers.
    pub kind: AnswerKind,
    /// The times of the answers.
    pub times: AnswerTimes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_summed_and_classed() {
        let mut times = AnswerTimes::default();
        for milliseconds in [1, 5, 6, 90, 20_000] {
            times.add(Duration::from_millis(milliseconds), milliseconds > 10_000);
        }
        assert_eq!((times.answers, times.faults), (5, 1));
        assert_eq!(times.classes, [2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        assert_eq!(times.mean_ms().map(f64::round), Some(4_020.0));
        assert_eq!(
            (times.at_most_ms(0.5), times.at_most_ms(0.8), times.at_most_ms(0.99)),
            (Some(10), Some(100), None)
        );
        let mut sum = times;
        sum.merge(&times);
        assert_eq!((sum.answers, sum.classes[0], sum.mean_ms()), (10, 4, times.mean_ms()));
        assert_eq!((AnswerTimes::default().mean_ms(), AnswerTimes::default().at_most_ms(0.5)), (None, None));
    }
}
