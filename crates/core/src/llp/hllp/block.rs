//! The block itself: made and judged.

use super::{Bcc, CR, HEADER, Settings, TRAILER};

/// What the eight digits at a block's end say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// There are no digits, or they count more than there is: this may be an EB inside the data.
    MaybeMore,
    /// They count less than there is.
    WrongCount,
    /// The count is right and the check is not. The count is judged first (as VistA does).
    WrongSum,
}

/// Appends a whole block to `out`. The data must fit: at most `MAX_DATA` bytes.
pub(super) fn encode(kind: u8, data: &[u8], settings: &Settings, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[settings.sb, kind, settings.version[0], settings.version[1], CR]);
    out.extend_from_slice(data);
    let count = digits::<5>(out.len() - start);
    let sum = check(settings.bcc, &out[start..], &count);
    out.extend_from_slice(&count);
    out.extend_from_slice(&sum);
    out.extend_from_slice(&[settings.eb, CR]);
}

/// Judges a block from SB to right before EB.
pub(super) fn judge(block: &[u8], settings: &Settings) -> Verdict {
    let Some(covered) = block.len().checked_sub(TRAILER).filter(|n| *n >= HEADER) else {
        return Verdict::MaybeMore;
    };
    let (covered, trailer) = block.split_at(covered);
    let (count, sum) = trailer.split_at(5);
    let Some(says) = number(count) else { return Verdict::MaybeMore };
    let unchecked = settings.len_any && (sum == b"999" || count == b"99999");
    if !unchecked && says > covered.len() {
        return Verdict::MaybeMore;
    }
    if !unchecked && says < covered.len() {
        return Verdict::WrongCount;
    }
    // "Not computed" is a promise, not damage, whatever we compute ourselves.
    if sum == check(Bcc::None, covered, count) {
        return Verdict::Good;
    }
    let any = [Bcc::XorData, Bcc::XorDataAndCount, Bcc::SumData];
    let taken = |bcc: &Bcc| settings.either || *bcc == settings.bcc || settings.bcc == Bcc::None;
    if any.iter().filter(|b| taken(b)).any(|b| sum == check(*b, covered, count)) {
        Verdict::Good
    } else {
        Verdict::WrongSum
    }
}

fn check(bcc: Bcc, covered: &[u8], count: &[u8]) -> [u8; 3] {
    let xor = |bytes: &[u8]| bytes.iter().fold(0, |sum, b| sum ^ b);
    digits::<3>(match bcc {
        Bcc::XorData => usize::from(xor(covered)),
        Bcc::XorDataAndCount => usize::from(xor(covered) ^ xor(count)),
        Bcc::SumData => usize::from(covered.iter().fold(0u8, |sum, b| sum.wrapping_add(*b))),
        Bcc::None => 999,
    })
}

fn digits<const N: usize>(mut number: usize) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789"[number % 10];
        number /= 10;
    }
    digits
}

fn number(digits: &[u8]) -> Option<usize> {
    digits.iter().try_fold(0, |n, d| d.is_ascii_digit().then(|| n * 10 + usize::from(d - b'0')))
}
