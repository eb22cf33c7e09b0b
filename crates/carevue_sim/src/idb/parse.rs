//! Statements.

use anyhow::{Result, bail};

use super::lex::{Kind, Token, words};

/// The right side of a comparison or an assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operand {
    Null,
    Literal(String),
    Variable(String),
}

/// A condition of WHERE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clause {
    pub(super) attribute: String,
    pub(super) equal: bool,
    pub(super) operand: Operand,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement {
    Set,
    Select { attributes: Vec<String>, into: Option<String>, class: String, clauses: Vec<Clause> },
    Insert { class: String, values: Vec<(String, Operand)> },
    Update { class: String, values: Vec<(String, Operand)>, clauses: Vec<Clause> },
    Clear { class: String, clauses: Vec<Clause> },
}

/// Reads all statements of a script, each with its line.
pub(super) fn statements(script: &str) -> Result<Vec<(usize, Statement)>> {
    let tokens = words(script)?;
    let mut reader = Reader { tokens: &tokens, line: 1 };
    let mut statements = Vec::new();
    while let Some(first) = reader.tokens.first() {
        let line = first.line;
        statements.push((line, reader.statement()?));
        reader.sign(";")?;
    }
    Ok(statements)
}

struct Reader<'t> {
    tokens: &'t [Token],
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<Kind> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        self.line = first.line;
        Some(first.kind.clone())
    }

    /// The next word as it is written, but for what it says: that may be of a patient.
    fn expected<T>(&self, what: &str) -> Result<T> {
        bail!("line {}: {what} expected", self.line)
    }

    fn statement(&mut self) -> Result<Statement> {
        match self.word()?.to_ascii_uppercase().as_str() {
            "SET" => match self.word()?.as_str() {
                "ColumnMode" => Ok(Statement::Set),
                _ => self.expected("ColumnMode"),
            },
            "SELECT" => self.select(),
            "INSERT" => {
                self.keyword("INTO")?;
                let class = self.word()?;
                self.sign("(")?;
                let names = self.list(Reader::word)?;
                self.sign(")")?;
                self.keyword("VALUES")?;
                self.sign("(")?;
                let values = self.list(Reader::operand)?;
                self.sign(")")?;
                if names.len() != values.len() {
                    return self.expected(&format!("{} values", names.len()));
                }
                Ok(Statement::Insert { class, values: names.into_iter().zip(values).collect() })
            }
            "UPDATE" => {
                let class = self.word()?;
                self.keyword("SET")?;
                let values = self.list(|reader| {
                    let name = reader.word()?;
                    reader.sign("=")?;
                    Ok((name, reader.operand()?))
                })?;
                Ok(Statement::Update { class, values, clauses: self.clauses()? })
            }
            "CLEAR" => {
                self.keyword("FROM")?;
                let class = self.word()?;
                Ok(Statement::Clear { class, clauses: self.clauses()? })
            }
            _ => self.expected("SET, SELECT, INSERT, UPDATE or CLEAR"),
        }
    }

    fn select(&mut self) -> Result<Statement> {
        let attributes = self.list(Reader::word)?;
        let into = self.is_keyword("INTO").then(|| self.word()).transpose()?;
        self.keyword("FROM")?;
        let class = self.word()?;
        let has_clauses = matches!(self.tokens.first(), Some(Token { kind: Kind::Word(word), .. })
            if word.eq_ignore_ascii_case("WHERE"));
        let clauses = if has_clauses { self.clauses()? } else { Vec::new() };
        if into.is_some() && attributes.len() != 1 {
            return self.expected("one attribute before INTO");
        }
        Ok(Statement::Select { attributes, into, class, clauses })
    }

    fn clauses(&mut self) -> Result<Vec<Clause>> {
        self.keyword("WHERE")?;
        let mut clauses = Vec::new();
        loop {
            let attribute = self.word()?;
            let equal = match self.next() {
                Some(Kind::Sign("=")) => true,
                Some(Kind::Sign("!=")) => false,
                _ => return self.expected("= or !="),
            };
            clauses.push(Clause { attribute, equal, operand: self.operand()? });
            if !self.is_keyword("AND") {
                return Ok(clauses);
            }
        }
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut list = vec![item(self)?];
        while matches!(self.tokens.first(), Some(Token { kind: Kind::Sign(","), .. })) {
            self.next();
            list.push(item(self)?);
        }
        Ok(list)
    }

    fn word(&mut self) -> Result<String> {
        match self.next() {
            Some(Kind::Word(word)) => Ok(word),
            _ => self.expected("a name"),
        }
    }

    fn operand(&mut self) -> Result<Operand> {
        match self.next() {
            Some(Kind::Text(text)) => Ok(Operand::Literal(text)),
            Some(Kind::Word(word)) if word.eq_ignore_ascii_case("NULL") => Ok(Operand::Null),
            Some(Kind::Word(word)) if word.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                Ok(Operand::Literal(word))
            }
            Some(Kind::Word(word)) => Ok(Operand::Variable(word)),
            _ => self.expected("a value"),
        }
    }

    fn is_keyword(&mut self, keyword: &str) -> bool {
        let found = matches!(self.tokens.first(), Some(Token { kind: Kind::Word(word), .. })
            if word.eq_ignore_ascii_case(keyword));
        if found {
            self.next();
        }
        found
    }

    fn keyword(&mut self, keyword: &str) -> Result<()> {
        if self.is_keyword(keyword) {
            return Ok(());
        }
        self.next();
        self.expected(keyword)
    }

    fn sign(&mut self, sign: &'static str) -> Result<()> {
        match self.next() {
            Some(Kind::Sign(found)) if found == sign => Ok(()),
            _ => self.expected(sign),
        }
    }
}
