//! Beds: how CareVue names one that a message names, and which are of the care unit.

use super::Profile;
use crate::decide::Where;

impl Profile {
    /// Where a location (PV1-3 or PV1-6, its components decoded) puts a patient, and the bed's name in CareVue.
    #[must_use]
    pub fn locate(&self, components: &[String]) -> (Where, String) {
        let is_empty = |part: &String| part.is_empty() || part == "\"\"";
        // What the name is not made of, such as the facility, names no bed.
        let mut named = self.bed_name.components().filter(|n| *n > 1).filter_map(|n| components.get(n - 1));
        let is_unnamed = named.all(is_empty);
        let name = self.bed_name.of(components);
        let place = match (components.first().filter(|ward| !is_empty(ward)), &name) {
            (_, Some(name)) if self.beds.iter().any(|pattern| pattern.matches(name)) => Where::Bed,
            (None, _) if is_unnamed => Where::NoBed,
            (Some(ward), name) if self.wards.contains(ward) && (is_unnamed || name.is_none()) => Where::Ward,
            _ => Where::Outside,
        };
        (place, name.filter(|_| place == Where::Bed).unwrap_or_default())
    }

    /// What may be a mistake in how beds are named: where the name has not the ward, beds of several wards cannot be told
    /// apart, or none is found.
    #[must_use]
    pub fn doubts(&self) -> Vec<String> {
        if self.bed_name.components().any(|n| n == 1) {
            return Vec::new();
        }
        let mut doubts = Vec::new();
        if self.wards.len() > 1 {
            doubts.push(
                "bed-name: wards names several, and without {1} the same room and bed in two of them is one bed; put \
                 {1} into bed-name and into beds, or be sure that no two wards have a room of the same name"
                    .to_owned(),
            );
        }
        let has_letter = |ward: &&String| ward.chars().any(char::is_alphabetic);
        for pattern in &self.beds {
            let names = |ward: &&String| pattern.as_str().starts_with(ward.as_str());
            if !self.bed_name.begins_with_text()
                && let Some(ward) = self.wards.iter().filter(has_letter).find(names)
            {
                doubts.push(format!(
                    "beds: {:?} names the ward {ward:?}, which no bed's name has without {{1}} in bed-name",
                    pattern.as_str()
                ));
            }
        }
        doubts
    }
}

/// How a bed's name is made of a location's components: text, and `{N}` for component N.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BedName(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Component(usize),
}

impl BedName {
    /// Nothing, until a profile says it.
    pub(super) fn blank() -> BedName {
        BedName(Vec::new())
    }

    pub(super) fn parse(text: &str) -> Option<BedName> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at(start);
            let (number, next) = after.strip_prefix('{')?.split_once('}')?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Component(number.parse().ok().filter(|n| (1..=20).contains(n))?));
            rest = next;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        pieces.iter().any(|piece| matches!(piece, Piece::Component(_))).then_some(BedName(pieces))
    }

    /// The numbers of the components that it is made of.
    fn components(&self) -> impl Iterator<Item = usize> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Component(n) => Some(*n),
            Piece::Text(_) => None,
        })
    }

    /// It has a text of its own in front.
    fn begins_with_text(&self) -> bool {
        matches!(self.0.first(), Some(Piece::Text(_)))
    }

    /// The name, if the location has every component that it is made of.
    fn of(&self, components: &[String]) -> Option<String> {
        let mut name = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => name.push_str(text),
                Piece::Component(n) => {
                    let part = components.get(n - 1)?;
                    name.push_str(Some(part).filter(|part| !part.is_empty() && *part != "\"\"")?);
                }
            }
        }
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    #[test]
    fn beds_of_the_care_unit() {
        let profile = Profile::shipped().unwrap();
        for (location, place, name) in [
            ("IOP^601^1", Where::Bed, "601-1"),
            ("^609^9", Where::Bed, "609-9"),
            ("ANY^601^1^more", Where::Bed, "601-1"),
            ("", Where::NoBed, ""),
            ("^^", Where::NoBed, ""),
            ("\"\"", Where::NoBed, ""),
            ("^^^KLINIK", Where::NoBed, ""),
            ("IOP", Where::Ward, ""),
            ("IOP^^", Where::Ward, ""),
            ("IOP^^^KLINIK", Where::Ward, ""),
            ("IOP^601", Where::Ward, ""),
            ("IOP^^1", Where::Ward, ""),
            ("IOP^601^\"\"", Where::Ward, ""),
            ("CHI^^^KLINIK", Where::Outside, ""),
            ("^601", Where::Outside, ""),
            ("CHI", Where::Outside, ""),
            ("CHI^305^2", Where::Outside, ""),
            ("IOP^610^1", Where::Outside, ""),
            ("IOP^601^12", Where::Outside, ""),
            ("iop", Where::Outside, ""),
        ] {
            let components: Vec<String> = location.split('^').map(str::to_owned).collect();
            assert_eq!(profile.locate(&components), (place, name.to_owned()), "{location}");
        }
    }

    /// The ward may be a part of the name.
    #[test]
    fn a_ward_in_the_name_of_its_beds() {
        let profile =
            read::parse("bed-name = \"{1}{3}\"\nbeds = [\"ICU[0-9]\"]\nwards = [\"ICU\"]\n").unwrap();
        for (location, place, name) in [
            ("ICU^601^1", Where::Bed, "ICU1"),
            ("ICU^601^^KLINIK", Where::Ward, ""),
            ("^601", Where::NoBed, ""),
            ("CHI^601", Where::Outside, ""),
            ("ICU^601^X", Where::Outside, ""),
        ] {
            let components: Vec<String> = location.split('^').map(str::to_owned).collect();
            assert_eq!(profile.locate(&components), (place, name.to_owned()), "{location}");
        }
    }

    #[test]
    fn a_name_is_made_of_components() {
        let parts: Vec<String> = ["A", "B", "C"].map(str::to_owned).to_vec();
        let name = |text: &str| BedName::parse(text).and_then(|name| name.of(&parts));
        assert_eq!(name("{1}/{3}.x").as_deref(), Some("A/C.x"));
        assert_eq!(name("{4}"), None);
        for text in ["", "601", "{", "{}", "{0}", "{x}", "}", "{1", "{21}", "{{1}}"] {
            assert_eq!(BedName::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_that_loses_the_ward_is_doubted() {
        for (text, told) in [
            ("", None),
            ("wards = [\"ICU\", \"IMC\"]\n", Some("wards names several")),
            ("wards = [\"ICU\", \"IMC\"]\nbed-name = \"{1}-{2}-{3}\"\nbeds = [\"I??-*\"]\n", None),
            ("beds = [\"IOP-60[0-9]-1\"]\n", Some("\"IOP-60[0-9]-1\" names the ward \"IOP\"")),
            ("beds = [\"IOP-60[0-9]-1\"]\nbed-name = \"IOP-{2}-{3}\"\n", None),
            ("beds = [\"60[0-9]-1\"]\nwards = [\"60\"]\n", None),
        ] {
            let doubts = read::parse(text).unwrap().doubts();
            assert_eq!(doubts.len(), usize::from(told.is_some()), "{text}: {doubts:?}");
            assert!(doubts.iter().all(|doubt| doubt.contains(told.unwrap())), "{text}: {doubts:?}");
        }
    }
}
