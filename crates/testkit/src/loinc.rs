//! A made-up LOINC table of any size, for LOINC's own is licensed to sites.

use std::fmt::Write;

use crate::random::Random;

/// How many rows of [`table`] share a measure.
pub const ROWS_OF_A_MEASURE: u32 = 20;

/// A table file of `rows` rows (numbers from 1, with their check digits; 25 columns; about 300 bytes a row). Row `n` has
/// the measure `MEASURE m`, where `m` is `n` modulo the number of measures, and its own alias `ALIAS n`.
#[must_use]
pub fn table(rows: u32) -> String {
    let mut random = Random::seeded(1996);
    let mut text = String::new();
    for number in 1..=rows {
        row(&mut text, number, rows.div_ceil(ROWS_OF_A_MEASURE), &mut random);
    }
    text
}

fn row(text: &mut String, number: u32, measures: u32, random: &mut Random) {
    let mut pick = |of: &[&'static str]| of[random.below(of.len() as u64) as usize];
    let property = pick(&["MCNC", "SCNC", "PRES", "TEMP", "ACNC", "NCNC", "PRID"]);
    let specimen = pick(&["BLD", "BLDA", "BLDC", "BLDV", "SER/PLAS", "UR", "CSF", "PAT"]);
    let class =
        pick(&["CHEM", "HEM/BC", "MICRO", "DRUG/TOX", "SERO", "COAG", "ABXBACT", "UA", "BLDBK", "CLIN"]);
    let mut alias = || random.below(20_000);
    let aliases =
        [alias(), alias(), alias(), alias(), alias(), alias()].map(|alias| format!("NAME{alias}")).join(";");
    let columns = [
        format!("{number}-{}", check_digit(number)),
        format!("MEASURE {}", number % measures),
        property.to_owned(),
        "PT".to_owned(),
        specimen.to_owned(),
        "QN".to_owned(),
        String::new(),
        format!("ALIAS {number};{aliases}"),
        class.to_owned(),
        "GUSW".to_owned(),
        String::new(),
        format!("A{}", number % 30_000),
        String::new(),
        "19960101".to_owned(),
        "a comment such as the table has on some of its rows".to_owned(),
    ];
    let empty = std::iter::repeat_n("", 25 - columns.len());
    for (at, column) in columns.iter().map(String::as_str).chain(empty).enumerate() {
        let tab = if at > 0 { "\t" } else { "" };
        // Writing to a string does not fail.
        let _ = write!(text, "{tab}\"{column}\"");
    }
    text.push('\n');
}

/// Luhn's digit, summed from the left over the digits as text: another way than the program's.
#[must_use]
pub fn check_digit(number: u32) -> u32 {
    let digits: Vec<u32> = number.to_string().chars().filter_map(|c| c.to_digit(10)).collect();
    let last = digits.len() - 1;
    let weighed = digits.iter().enumerate().map(|(at, digit)| {
        let doubled = digit * if (last - at).is_multiple_of(2) { 2 } else { 1 };
        doubled / 10 + doubled % 10
    });
    (10 - weighed.sum::<u32>() % 10) % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_of_the_manual() {
        for (number, digit) in [(5914, 7), (9984, 6), (3138, 5), (2947, 0), (6298, 4), (9948, 1)] {
            assert_eq!(check_digit(number), digit, "{number}");
        }
        assert_eq!(table(100).lines().count(), 100);
    }
}
