//! idb: CareVue's database, by statements. A script is carried out whole or, if a statement fails, not at all.

mod classes;
mod lex;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail};

use crate::state::{Entity, State};
pub(crate) use classes::insert;
use classes::{Class, class};
use parse::{Clause, Operand, Statement, statements};

/// The most of a script that is read, in bytes.
pub(crate) const MAX_SCRIPT: usize = 16 << 20;

/// Carries out a script and gives what it prints: for each SELECT without INTO a line with the attributes' names, then
/// the rows, separated by tabs.
pub(crate) fn run(state: &mut State, script: &str) -> Result<String> {
    let mut session = Session { state, variables: BTreeMap::new(), printed: String::new() };
    for (line, statement) in statements(script)? {
        session.carry_out(statement).with_context(|| format!("line {line}"))?;
    }
    Ok(session.printed)
}

struct Session<'s> {
    state: &'s mut State,
    variables: BTreeMap<String, String>,
    printed: String,
}

impl Session<'_> {
    fn carry_out(&mut self, statement: Statement) -> Result<()> {
        match statement {
            Statement::Set => Ok(()),
            Statement::Select { attributes, into, class: name, clauses } => {
                let class = class(&name)?;
                class.has(&attributes)?;
                let condition = self.condition(class, &clauses)?;
                let rows: Vec<Entity> =
                    class.entities(self.state).into_iter().filter(|row| condition.holds(row)).collect();
                match into {
                    Some(variable) => {
                        let first = rows.first().context("SELECT INTO found nothing")?;
                        let value = first.get(&attributes[0]).cloned().unwrap_or_default();
                        self.variables.insert(variable, value);
                    }
                    None => self.print(&attributes, &rows),
                }
                Ok(())
            }
            Statement::Insert { class, values } => {
                let entity = self.assignments(values)?;
                let entity = entity.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
                insert(self.state, &class, entity)
            }
            Statement::Update { class: name, values, clauses } => {
                let class = class(&name)?;
                let values = self.assignments(values)?;
                class.has(values.iter().map(|(name, _)| name))?;
                let condition = self.condition(class, &clauses)?;
                for entity in class.writable(self.state)?.iter_mut().filter(|row| condition.holds(row)) {
                    for (name, value) in &values {
                        match value {
                            Some(value) => entity.insert(name.clone(), value.clone()),
                            None => entity.remove(name),
                        };
                    }
                    class.check(entity)?;
                }
                Ok(())
            }
            Statement::Clear { class: name, clauses } => {
                let class = class(&name)?;
                let condition = self.condition(class, &clauses)?;
                class.writable(self.state)?.retain(|row| !condition.holds(row));
                Ok(())
            }
        }
    }

    fn print(&mut self, attributes: &[String], rows: &[Entity]) {
        self.printed.push_str(&attributes.join("\t"));
        self.printed.push('\n');
        for row in rows {
            let values = attributes.iter().map(|name| row.get(name).map_or("", String::as_str));
            let line = values.map(|value| value.replace(char::is_control, " ")).collect::<Vec<_>>();
            self.printed.push_str(&line.join("\t"));
            self.printed.push('\n');
        }
    }

    fn value(&self, operand: Operand) -> Result<Option<String>> {
        match operand {
            Operand::Null => Ok(None),
            Operand::Literal(text) => Ok(Some(text)),
            Operand::Variable(name) => {
                let value = self.variables.get(&name);
                value.map(|value| Some(value.clone())).ok_or_else(|| anyhow!("{name} was not selected INTO"))
            }
        }
    }

    fn assignments(&self, values: Vec<(String, Operand)>) -> Result<Vec<(String, Option<String>)>> {
        let mut found: Vec<(String, Option<String>)> = Vec::with_capacity(values.len());
        for (name, operand) in values {
            if found.iter().any(|(other, _)| *other == name) {
                bail!("{name} is given twice");
            }
            found.push((name, self.value(operand)?));
        }
        Ok(found)
    }

    fn condition(&self, class: &Class, clauses: &[Clause]) -> Result<Condition> {
        class.has(clauses.iter().map(|clause| &clause.attribute))?;
        let clauses = clauses
            .iter()
            .map(|clause| Ok((clause.attribute.clone(), clause.equal, self.value(clause.operand.clone())?)));
        Ok(Condition(clauses.collect::<Result<_>>()?))
    }
}

/// Comparisons that must all hold. Values compare exactly; NULL equals NULL only.
struct Condition(Vec<(String, bool, Option<String>)>);

impl Condition {
    fn holds(&self, row: &Entity) -> bool {
        self.0.iter().all(|(name, equal, value)| (row.get(name) == value.as_ref()) == *equal)
    }
}
