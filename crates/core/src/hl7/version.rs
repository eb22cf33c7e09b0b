//! HL7 versions, as MSH-12 names them.

use super::Message;

/// A version of the standard. Versions compare as they followed each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u8,
    minor: u8,
    patch: u8,
}

macro_rules! versions {
    ($($name:ident $major:literal $minor:literal $patch:literal;)*) => {
        $(#[doc = concat!("HL7 v", $major, ".", $minor, " (patch ", $patch, ").")]
        pub const $name: Version = Version { major: $major, minor: $minor, patch: $patch };)*
    };
}

impl Version {
    versions! {
        V2_1 2 1 0; V2_2 2 2 0; V2_3 2 3 0; V2_3_1 2 3 1; V2_4 2 4 0; V2_5 2 5 0; V2_7 2 7 0;
    }

    /// The version of a message by MSH-12.1; none if it is empty or no version number.
    pub fn of(message: &Message) -> Option<Version> {
        Self::parse(message.header(12).component(1).raw())
    }

    /// Reads `2.3.1` and the like.
    pub fn parse(text: &[u8]) -> Option<Version> {
        let mut numbers =
            std::str::from_utf8(text).ok()?.trim().split('.').map(|part| part.parse::<u8>().ok());
        let version = Version {
            major: numbers.next()??,
            minor: numbers.next().unwrap_or(Some(0))?,
            patch: numbers.next().unwrap_or(Some(0))?,
        };
        numbers.next().is_none().then_some(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_follow_each_other() {
        let order = ["2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8.2", "2.9"];
        let versions: Vec<_> = order.iter().map(|text| Version::parse(text.as_bytes()).unwrap()).collect();
        assert!(versions.is_sorted_by(|a, b| a < b));
        assert_eq!(versions[3], Version::V2_3_1);
        assert_eq!(Version::parse(b" 2.3.1 "), Some(Version::V2_3_1));
        for text in ["", "x", "2.x", "2.3.1.4", "2.3.", "\u{e9}"] {
            assert_eq!(Version::parse(text.as_bytes()), None, "{text}");
        }
    }
}
