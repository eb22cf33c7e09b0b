//! Where the fields of a message begin and end, found in one pass over its bytes.

use super::delimiters::{CR, Characters, LF, Width};

/// The positions of a message's segments and fields. It can be kept and used again, so that a loop over many
/// messages allocates nothing ([`Message::parse_with`](super::Message::parse_with)).
///
/// It takes 4 bytes a field and 12 a segment: at most 8 times the message, and that only for a message of one-byte
/// segments.
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// Where each field ends, the segment's name counting as its field 0.
    pub(crate) ends: Vec<u32>,
    pub(crate) segments: Vec<Entry>,
}

/// One segment: where it begins, which of the `ends` is its first, and its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) start: u32,
    pub(crate) first: u32,
    /// Its first four bytes; the fourth is 0 where a name of three ends there. Kept here so that looking for a
    /// segment does not touch the message.
    pub(crate) name: [u8; 4],
}

/// The name of an entry whose segment has this name of three.
pub(crate) fn key(name: [u8; 3]) -> [u8; 4] {
    [name[0], name[1], name[2], 0]
}

impl Index {
    /// Finds all segments and fields of `bytes` from `start` on. The caller has seen to it that positions fit
    /// 32 bits.
    pub(crate) fn build(&mut self, bytes: &[u8], start: usize, field: u8, width: Width) {
        self.ends.clear();
        self.segments.clear();
        let mut scan = Scan {
            index: self,
            bytes,
            field,
            start: start as u32,
            first: 0,
            lf_ends: memchr::memchr(CR, &bytes[start..]).is_none(),
        };
        match width {
            Width::Single => scan.blocks(start),
            _ => {
                for (at, byte) in Characters::new(&bytes[start..], width) {
                    if byte == field {
                        scan.index.ends.push((start + at) as u32);
                    } else if byte == CR || byte == LF {
                        let (at, count) = ((start + at) as u32, scan.index.ends.len() as u32 + 1);
                        if scan.line_end(at, byte, count) {
                            scan.index.ends.push(at);
                        }
                    }
                }
            }
        }
        scan.finish();
    }

    /// The positions in `ends` that belong to segment `i`.
    pub(crate) fn range(&self, i: usize) -> std::ops::Range<usize> {
        let first = self.segments[i].first as usize;
        let last = self.segments.get(i + 1).map_or(self.ends.len(), |next| next.first as usize);
        first..last
    }
}

struct Scan<'a> {
    index: &'a mut Index,
    bytes: &'a [u8],
    field: u8,
    /// Where the running segment begins, and its first entry in `ends`.
    start: u32,
    first: u32,
    /// There is no CR in the message, so LF ends its segments.
    lf_ends: bool,
}

const BLOCK: usize = 64;

impl Scan<'_> {
    /// Goes over the bytes 64 at a time: a block is compared with the three bytes that matter, the results made
    /// masks with a bit a byte, and only the set bits are looked at.
    fn blocks(&mut self, start: usize) {
        let (blocks, rest) = self.bytes[start..].as_chunks::<BLOCK>();
        let mut base = start as u32;
        for block in blocks {
            self.block(block, base);
            base += BLOCK as u32;
        }
        let mut last = [0; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        self.block(&last, base);
    }

    #[inline(always)]
    fn block(&mut self, block: &[u8; BLOCK], base: u32) {
        let mut lines = mask(block, |byte| (byte == CR) | (byte == LF));
        let mut ends = mask(block, |byte| byte == self.field) | lines;
        // Lines first: they are few, and which of them end a segment decides which bits stay.
        while lines != 0 {
            let bit = lines.trailing_zeros();
            lines &= lines - 1;
            let through = ends & (u64::MAX >> (63 - bit));
            let count = self.index.ends.len() as u32 + through.count_ones();
            if !self.line_end(base + bit, block[bit as usize % BLOCK], count) {
                ends &= !(1 << bit);
            }
        }
        while ends != 0 {
            self.index.ends.push(base + ends.trailing_zeros());
            ends &= ends - 1;
        }
    }

    /// A CR or LF at `at`, the `count`-th end so far; true if it ends a segment.
    ///
    /// CR does, and so does LF in a message without CR; the LF of CRLF goes with its CR; any other LF is data,
    /// unless a segment name and a field separator follow it.
    #[inline]
    fn line_end(&mut self, at: u32, byte: u8, count: u32) -> bool {
        if at == self.start {
            // An empty segment (CR CR, or the LF of CRLF) is no segment.
            self.start = at + 1;
            return false;
        }
        let ends = byte == CR || self.lf_ends || self.segment_follows(at);
        if ends {
            self.close(at, count);
        }
        ends
    }

    fn close(&mut self, at: u32, count: u32) {
        let mut name = [0; 4];
        let segment = &self.bytes[self.start as usize..at as usize];
        match segment.first_chunk::<4>() {
            Some(chunk) => name = *chunk,
            None => name[..segment.len()].copy_from_slice(segment),
        }
        if segment.len() < 3 {
            // Not the name of anything: NULs that pad it must not look like a name of NULs.
            name[3] = 0xFF;
        }
        if name[3] == self.field {
            name[3] = 0;
        }
        self.index.segments.push(Entry { start: self.start, first: self.first, name });
        self.first = count;
        self.start = at + 1;
    }

    /// The segment that the end of the message ends.
    fn finish(&mut self) {
        let at = self.bytes.len() as u32;
        if at > self.start {
            self.index.ends.push(at);
            self.close(at, 0);
        }
    }

    fn segment_follows(&self, at: u32) -> bool {
        matches!(
            self.bytes.get(at as usize + 1..),
            Some([a, b, c, sep, ..]) if is_segment_name(&[*a, *b, *c]) && *sep == self.field
        )
    }
}

/// A capital letter and two capital letters or digits (HL7 v2 chapter 2, "Segments").
pub(crate) fn is_segment_name(name: &[u8]) -> bool {
    matches!(name, [a, b, c] if a.is_ascii_uppercase()
        && [b, c].iter().all(|x| x.is_ascii_uppercase() || x.is_ascii_digit()))
}

/// One bit a byte: set where the byte is wanted.
///
/// The compares turn into vector instructions; multiplying eight bytes of 0 or 1 by the constant gathers them in
/// the top byte, the first byte's bit lowest.
#[inline(always)]
fn mask(block: &[u8; BLOCK], wanted: impl Fn(u8) -> bool) -> u64 {
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut hits = [0u8; BLOCK];
    for (hit, &byte) in hits.iter_mut().zip(block) {
        *hit = u8::from(wanted(byte));
    }
    let (words, _) = hits.as_chunks::<8>();
    words
        .iter()
        .enumerate()
        .fold(0, |mask, (i, word)| mask | ((u64::from_le_bytes(*word).wrapping_mul(GATHER) >> 56) << (8 * i)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(bytes: &[u8]) -> Vec<Vec<&[u8]>> {
        let mut index = Index::default();
        index.build(bytes, 0, b'|', Width::Single);
        (0..index.segments.len())
            .map(|i| {
                let mut start = index.segments[i].start as usize;
                index.ends[index.range(i)]
                    .iter()
                    .map(|&end| {
                        let field = &bytes[start..end as usize];
                        start = end as usize + 1;
                        field
                    })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn every_bit_of_the_mask() {
        for i in 0..BLOCK {
            for byte in [b'|', CR, LF] {
                let mut block = [b'x'; BLOCK];
                block[i] = byte;
                assert_eq!(mask(&block, |b| b == b'|' || b == CR || b == LF), 1 << i);
            }
        }
    }

    #[test]
    fn all_line_ends_give_the_same_segments() {
        for text in
            ["A|1\rB|2||3\r", "A|1\nB|2||3\n", "A|1\r\nB|2||3\r\n", "A|1\r\r\nB|2||3", "\rA|1\rB|2||3"]
        {
            let expected: Vec<Vec<&[u8]>> = vec![vec![b"A", b"1"], vec![b"B", b"2", b"", b"3"]];
            assert_eq!(index(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_lone_line_feed_among_carriage_returns_is_data() {
        assert_eq!(index(b"MSH|1\rNTE|a\nb\r")[1], [&b"NTE"[..], b"a\nb"]);
        assert_eq!(index(b"MSH|1\rNTE|a\nOBX|b\r")[2], [&b"OBX"[..], b"b"]);
        assert_eq!(index(b"MSH|1\rNTE|a\nobx|b\r")[1], [&b"NTE"[..], b"a\nobx", b"b"]);
    }

    #[test]
    fn longer_than_one_block() {
        let text = format!("A|{}|y\rB|{}", "x".repeat(70), "|".repeat(130));
        let segments = index(text.as_bytes());
        assert_eq!(segments[0].len(), 3);
        assert_eq!(segments[1].len(), 132);
    }
}
