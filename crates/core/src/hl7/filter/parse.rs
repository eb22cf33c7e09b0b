//! From text to a filter: `or` binds least, then `and`, then `not`.

use super::{Expression, Filter, FilterError, MAX_FILTER, MAX_FILTER_DEPTH, MAX_FILTER_TESTS, OPERATORS};
use crate::hl7::Path;

/// A fault and the byte at which it is.
type Fault = (usize, String);

pub(super) fn parse(text: &str) -> Result<Filter, FilterError> {
    whole(text).map(|expression| Filter { expression }).map_err(|(at, what)| {
        let before = text.get(..at).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        FilterError { line, column, what }
    })
}

fn whole(text: &str) -> Result<Expression, Fault> {
    if text.len() > MAX_FILTER {
        return Err((0, format!("the expression has {} bytes, at most {MAX_FILTER} are taken", text.len())));
    }
    let mut parser = Parser { text, at: 0, depth: 0, tests: 0 };
    let expression = parser.any()?;
    match parser.peek() {
        None => Ok(expression),
        Some(')') => Err((parser.at, "this ) closes nothing; take it out, or open it before".to_owned())),
        Some('&' | '|') => Err((parser.at, "conditions are joined by the words and, or".to_owned())),
        Some(_) => Err((
            parser.at,
            format!(
                "{} follows a whole condition, expected and, or, or the end; a value with blanks stands in quotes",
                parser.here()
            ),
        )),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    tests: usize,
}

impl<'a> Parser<'a> {
    /// The next character that is no blank.
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.text[self.at..].starts_with(sign);
        self.at += if found { sign.len() } else { 0 };
        found
    }

    /// The run of characters from here that fulfil a condition.
    fn run(&self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        &rest[..rest.find(|c| !belongs(c)).unwrap_or(rest.len())]
    }

    /// Takes this word, in any case, if it comes next.
    fn word(&mut self, word: &str) -> bool {
        self.peek();
        let next = self.run(is_of_a_path);
        let found = next.eq_ignore_ascii_case(word);
        self.at += if found { next.len() } else { 0 };
        found
    }

    /// What stands here, for a message.
    fn here(&self) -> String {
        let rest: String = self.text[self.at..].chars().take(20).take_while(|c| !c.is_whitespace()).collect();
        if rest.is_empty() { "the end".to_owned() } else { format!("\"{}\"", rest.escape_debug()) }
    }

    fn any(&mut self) -> Result<Expression, Fault> {
        let mut parts = vec![self.all()?];
        while self.word("or") {
            parts.push(self.all()?);
        }
        Ok(single(parts).unwrap_or_else(Expression::Any))
    }

    fn all(&mut self) -> Result<Expression, Fault> {
        let mut parts = vec![self.one()?];
        while self.word("and") {
            parts.push(self.one()?);
        }
        Ok(single(parts).unwrap_or_else(Expression::All))
    }

    fn one(&mut self) -> Result<Expression, Fault> {
        self.peek();
        let start = self.at;
        let negated = self.word("not");
        if !negated && self.peek() != Some('(') {
            return self.test();
        }
        self.depth += 1;
        if self.depth > MAX_FILTER_DEPTH {
            return Err((start, format!("parentheses and not stand at most {MAX_FILTER_DEPTH} deep")));
        }
        let inner = if negated { Expression::Not(Box::new(self.one()?)) } else { self.parenthesis()? };
        self.depth -= 1;
        Ok(inner)
    }

    fn parenthesis(&mut self) -> Result<Expression, Fault> {
        let start = self.at;
        self.take("(");
        let inner = self.any()?;
        self.peek();
        match self.take(")") {
            true => Ok(inner),
            false if self.at == self.text.len() => Err((start, "this ( is not closed".to_owned())),
            false => Err((
                self.at,
                format!("{}, expected and, or, or ); a value with blanks stands in quotes", self.here()),
            )),
        }
    }

    fn test(&mut self) -> Result<Expression, Fault> {
        let path = self.path()?;
        let negated = self.word("not");
        if self.word("in") {
            let list = Expression::In(path, self.list()?);
            return Ok(if negated { Expression::Not(Box::new(list)) } else { list });
        }
        if negated {
            return Err((self.at, format!("{}, expected in and a list, as in not in (A, B)", self.here())));
        }
        self.peek();
        for (sign, operator) in OPERATORS {
            if self.take(sign) {
                return Ok(Expression::Compare(path, operator, self.value()?));
            }
        }
        match self.peek() {
            Some('=' | '!' | '<' | '>' | '^') => Err((
                self.at,
                format!(
                    "{} is no comparison, expected ==, !=, ^= (begins with) or ~ (contains)",
                    self.here()
                ),
            )),
            _ => self.count().map(|()| Expression::Valued(path)),
        }
    }

    fn path(&mut self) -> Result<Path, Fault> {
        self.peek();
        let word = self.run(is_of_a_path);
        if word.is_empty() {
            return Err((self.at, format!("{}, expected a place such as MSH-9.1, not or (", self.here())));
        }
        let path = word.parse::<Path>().map_err(|error| {
            let what =
                format!("no place in a message: expected {}, as in PID-5.1 or OBX[3]-5", error.expected);
            (self.at + error.at, what)
        })?;
        self.at += word.len();
        Ok(path)
    }

    fn list(&mut self) -> Result<Vec<String>, Fault> {
        self.peek();
        let start = self.at;
        if !self.take("(") {
            return Err((start, format!("{}, expected a list, as in (A, B)", self.here())));
        }
        let mut values = Vec::new();
        loop {
            values.push(self.value()?);
            self.peek();
            if self.take(")") {
                return Ok(values);
            }
            if !self.take(",") {
                return Err((self.at, format!("{}, expected a comma or the ) of the list", self.here())));
            }
        }
    }

    fn value(&mut self) -> Result<String, Fault> {
        self.count()?;
        let value = match self.peek() {
            Some(quote @ ('"' | '\'')) => {
                let start = self.at;
                self.at += 1;
                let value = self.run(|c| c != quote);
                self.at += value.len();
                if self.at == self.text.len() {
                    return Err((start, format!("this {quote} is not closed")));
                }
                self.at += 1;
                return Ok(value.to_owned());
            }
            _ => self.run(is_bare),
        };
        if value.is_empty() {
            return Err((
                self.at,
                format!(
                    "{}, expected a value; \"\" stands for an empty one, '\"\"' for HL7's null",
                    self.here()
                ),
            ));
        }
        self.at += value.len();
        Ok(value.to_owned())
    }

    fn count(&mut self) -> Result<(), Fault> {
        self.tests += 1;
        match self.tests > MAX_FILTER_TESTS {
            true => Err((self.at, format!("at most {MAX_FILTER_TESTS} values are compared"))),
            false => Ok(()),
        }
    }
}

/// The only part, or all of them.
fn single(mut parts: Vec<Expression>) -> Result<Expression, Vec<Expression>> {
    match parts.len() {
        1 => parts.pop().ok_or(parts),
        _ => Err(parts),
    }
}

fn is_of_a_path(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '[' | ']' | '.' | '_')
}

/// What a value without quotes is made of.
fn is_bare(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '(' | ')' | ',' | '"' | '\'' | '=' | '!' | '<' | '>' | '~')
}
