//! The bit set of the manual's node idb_direct.

/// The bed is occupied, by whoever.
const OCCUPIED: u8 = 1;
/// The patient is known, in whatever bed or none.
const KNOWN: u8 = 2;
/// The patient is in the bed. Never alone: it implies the other two.
const MATCH: u8 = 4;

/// What is known of a bed and a patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) occupied: bool,
    pub(crate) known: bool,
    pub(crate) matches: bool,
}

impl Found {
    /// The triple: 0, 1, 2, 3 or 7.
    pub(crate) fn triple(self) -> u8 {
        if self.matches {
            return OCCUPIED | KNOWN | MATCH;
        }
        u8::from(self.occupied) * OCCUPIED + u8::from(self.known) * KNOWN
    }
}

/// The exit status: the first triple in bits 0 to 2, the second, if there is one, in bits 3 to 5.
pub(crate) fn status(found: &[Found]) -> u8 {
    found.iter().take(2).rev().fold(0, |status, found| (status << 3) | found.triple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_triple_is_one_of_five() {
        let mut triples: Vec<u8> = (0..8_u8)
            .map(|n| Found { occupied: n & 1 != 0, known: n & 2 != 0, matches: n & 4 != 0 }.triple())
            .collect();
        triples.sort_unstable();
        triples.dedup();
        assert_eq!(triples, [0, 1, 2, 3, 7]);
        let [free, there] = [false, true].map(|is| Found { occupied: is, known: is, matches: is });
        assert_eq!([status(&[there]), status(&[there, free]), status(&[free, there])], [7, 7, 56]);
    }
}
