//! What CareVue's database and its patient manager know.

use crate::Failure;
use crate::args::{Pair, shown};
use crate::bits::Found;
use crate::remote::Remote;
use crate::value::idb_string;

/// A statement whose header line ends every answer: one that was cut short does not have it.
const END: Select = Select { attributes: &["objectId", "name"], class: "CISCareUnitCfg", key: "name" };
const BED: Select = Select { attributes: &["name", "careUnit"], class: "BedConfig", key: "name" };
/// The order of the attributes tells the answers apart.
const BY_BED: Select = Select { attributes: &["bed", "medRecNum"], class: "Patient", key: "bed" };
const BY_RECNO: Select = Select { attributes: &["medRecNum", "bed"], class: "Patient", key: "medRecNum" };

/// A question, asked for one value of its key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Select {
    pub(crate) attributes: &'static [&'static str],
    pub(crate) class: &'static str,
    pub(crate) key: &'static str,
}

/// A row of an answer, a value for each attribute.
pub(crate) type Row = Vec<Vec<u8>>;

impl Select {
    fn statement(&self, value: &[u8]) -> Result<Vec<u8>, Failure> {
        let select =
            format!("SELECT {} FROM {} WHERE {} = ", self.attributes.join(", "), self.class, self.key);
        Ok([select.as_bytes(), &literal(value)?, b";\n"].concat())
    }
}

/// A value within a statement.
pub(crate) fn literal(value: &[u8]) -> Result<Vec<u8>, Failure> {
    idb_string(value).map_err(Failure::Wrong)
}

/// Asks several questions at once, behind what `before` does; gives the rows of each.
pub(crate) fn select(
    remote: &Remote,
    before: &[u8],
    questions: &[(Select, &[u8])],
) -> Result<Vec<Vec<Row>>, Failure> {
    let mut script = [b"SET ColumnMode;\n", before].concat();
    for (question, value) in questions {
        script.extend(question.statement(value)?);
    }
    script.extend(END.statement(b"")?);
    let questions: Vec<Select> = questions.iter().map(|(question, _)| *question).chain([END]).collect();
    let answer = remote.run(&[b"idb"], &script)?;
    let mut rows = read(&answer, &questions).map_err(|why| Failure::Later(format!("idb: {why}")))?;
    rows.pop();
    Ok(rows)
}

/// Takes an answer apart. What a login prints before the first header is skipped.
fn read(answer: &[u8], questions: &[Select]) -> Result<Vec<Vec<Row>>, String> {
    let mut sections: Vec<Vec<Row>> = Vec::new();
    let whole = answer.strip_suffix(b"\n").ok_or("its answer is empty or cut short")?;
    for line in whole.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let header = questions.get(sections.len()).map(|next| next.attributes.join("\t"));
        if header.is_some_and(|header| header.as_bytes() == line) {
            sections.push(Vec::new());
            continue;
        }
        let Some(section) = sections.len().checked_sub(1) else { continue };
        let row: Row = line.split(|byte| *byte == b'\t').map(<[u8]>::to_vec).collect();
        if row.len() != questions[section].attributes.len() {
            return Err(format!("a row of {} has {} columns", questions[section].class, row.len()));
        }
        sections[section].push(row);
    }
    if sections.len() < questions.len() {
        return Err("its answer is cut short".to_owned());
    }
    Ok(sections)
}

/// A pair's triple, and the patient's own bed, if the patient is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) found: Found,
    pub(crate) bed: Option<Vec<u8>>,
}

/// Asks for one pair.
pub(crate) fn ask_one(remote: &Remote, pair: &Pair) -> Result<Answer, Failure> {
    let mut answers = ask_all(remote, std::slice::from_ref(pair))?;
    answers.pop().ok_or_else(|| Failure::Later("idb: no answer".to_owned()))
}

/// Asks for each pair.
pub(crate) fn ask(remote: &Remote, pairs: &[Pair]) -> Result<Vec<Found>, Failure> {
    Ok(ask_all(remote, pairs)?.into_iter().map(|answer| answer.found).collect())
}

fn ask_all(remote: &Remote, pairs: &[Pair]) -> Result<Vec<Answer>, Failure> {
    let mut questions: Vec<(Select, &[u8])> = Vec::new();
    for pair in pairs {
        if !pair.bed.is_empty() {
            questions.extend([(BED, &pair.bed[..]), (BY_BED, &pair.bed)]);
        }
        questions.push((BY_RECNO, &pair.recno));
    }
    let mut rows = select(remote, b"", &questions)?.into_iter();
    let mut next = || rows.next().unwrap_or_default();
    let mut answers = Vec::with_capacity(pairs.len());
    for Pair { bed, recno } in pairs {
        let mut in_bed = Vec::new();
        if !bed.is_empty() {
            if next().is_empty() {
                return Err(Failure::Wrong(format!("CareVue has no bed \"{}\"", shown(bed))));
            }
            in_bed = next();
        }
        let known = next();
        let is_key = |rows: &[Row], key: &[u8]| rows.iter().all(|row| row[0] == key);
        if !is_key(&in_bed, bed) || !is_key(&known, recno) {
            return Err(Failure::Later("idb: it answers what was not asked".to_owned()));
        }
        // Between the two questions a patient may have moved: either answer is enough for a match.
        let matches = in_bed.iter().any(|row| row[1] == *recno)
            || (!bed.is_empty() && known.iter().any(|row| row[1] == *bed));
        let found =
            Found { occupied: !in_bed.is_empty() || matches, known: !known.is_empty() || matches, matches };
        answers.push(Answer { found, bed: known.into_iter().next().map(|mut row| row.swap_remove(1)) });
    }
    Ok(answers)
}

/// Whether the patient manager knows the patient.
pub(crate) fn is_managed(remote: &Remote, recno: &[u8]) -> Result<bool, Failure> {
    let census = remote.run(&[b"ptMgrSup", b"-c"], b"")?;
    let mut lines = census.split(|byte| *byte == b'\n');
    Ok(lines.any(|line| line.strip_prefix(recno).is_some_and(|rest| rest.first() == Some(&b'\t'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        let questions = [BY_BED, BY_RECNO, END];
        let rows = |answer: &str| read(answer.as_bytes(), &questions);
        let good = "Welcome to CareVue\nbed\tmedRecNum\n601-1\t7\nmedRecNum\tbed\n9\t\nobjectId\tname\n";
        let expected = vec![
            vec![vec![b"601-1".to_vec(), b"7".to_vec()]],
            vec![vec![b"9".to_vec(), b"".to_vec()]],
            vec![],
        ];
        assert_eq!(rows(good), Ok(expected.clone()));
        assert_eq!(rows(&good.replace('\n', "\r\n")), Ok(expected));
        for bad in ["", "\n", "bed\tmedRecNum\n", &good[..good.len() - 1], &good.replace("601-1\t7", "601-1")]
        {
            assert!(rows(bad).is_err(), "{bad:?}");
        }
        // Cut anywhere, it is not taken for an answer.
        for end in 0..good.len() {
            assert!(rows(&good[..end]).is_err(), "{end}");
        }
    }
}
