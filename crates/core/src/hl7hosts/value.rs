//! One value of an entry: anything, a whole string, or a shell pattern.

use super::Matching;

/// What a column accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ValueRule {
    /// `*`: any value, the empty one too.
    Any,
    /// Exactly these bytes.
    Exact(Vec<u8>),
    /// A shell pattern of `*` and `?`; ASCII letters match in either case.
    Pattern(Vec<u8>),
}

impl ValueRule {
    pub(super) fn new(text: &[u8], matching: Matching) -> ValueRule {
        match matching {
            _ if text == b"*" => ValueRule::Any,
            Matching::Default => ValueRule::Pattern(text.to_ascii_lowercase()),
            Matching::Exact => ValueRule::Exact(text.to_vec()),
        }
    }

    pub(super) fn matches(&self, value: &[u8]) -> bool {
        match self {
            ValueRule::Any => true,
            ValueRule::Exact(expected) => expected == value,
            ValueRule::Pattern(pattern) => matches_pattern(pattern, value),
        }
    }
}

/// Whether `value`, in any case, matches the lower-case `pattern`.
///
/// Takes at most `pattern.len() * value.len()` steps and no memory: of all stars passed only the last one can still
/// be stretched, since an earlier one already has its shortest match.
fn matches_pattern(pattern: &[u8], value: &[u8]) -> bool {
    let (mut p, mut v) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while v < value.len() {
        match pattern.get(p) {
            Some(b'*') => {
                last_star = Some((p, v));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == value[v].to_ascii_lowercase() => {
                p += 1;
                v += 1;
            }
            _ => {
                let Some((star, stretched)) = last_star else { return false };
                last_star = Some((star, stretched + 1));
                p = star + 1;
                v = stretched + 1;
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}
