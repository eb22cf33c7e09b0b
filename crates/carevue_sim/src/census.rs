//! The patient manager: who is in which bed.

use serde::{Deserialize, Serialize};

use crate::state::State;

/// A patient of the care unit.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Patient {
    pub(crate) recno: String,
    /// Empty on the waiting list.
    pub(crate) bed: String,
    pub(crate) name: String,
    /// For how many more looks at the census the patient does not appear in it.
    pub(crate) hidden: u32,
}

/// Why the census was left as it was. The real CareVue keeps it to itself and answers AA.
pub(crate) type Unchanged = &'static str;

const UNKNOWN_PATIENT: Unchanged = "unknown patient";
const UNKNOWN_BED: Unchanged = "unknown bed";
const OCCUPIED: Unchanged = "the bed is occupied";

impl State {
    pub(crate) fn patient(&self, recno: &str) -> Option<&Patient> {
        self.patients.iter().find(|patient| patient.recno == recno)
    }

    fn patient_mut(&mut self, recno: &str) -> Option<&mut Patient> {
        self.patients.iter_mut().find(|patient| patient.recno == recno)
    }

    /// Those whom the patient manager knows.
    pub(crate) fn census(&self) -> impl Iterator<Item = &Patient> {
        self.patients.iter().filter(|patient| patient.hidden == 0)
    }

    /// Somebody looks at the census: the late patients come nearer.
    pub(crate) fn look(&mut self) {
        for patient in &mut self.patients {
            patient.hidden = patient.hidden.saturating_sub(1);
        }
    }

    /// Whether the patient may go to the bed; an empty one is the waiting list.
    fn free_for(&self, recno: &str, bed: &str) -> Result<(), Unchanged> {
        if bed.is_empty() {
            return Ok(());
        }
        if !self.beds.iter().any(|name| name == bed) {
            return Err(UNKNOWN_BED);
        }
        match self.patients.iter().find(|patient| patient.bed == bed && patient.recno != recno) {
            Some(_) => Err(OCCUPIED),
            None => Ok(()),
        }
    }

    /// A01.
    pub(crate) fn admit(&mut self, patient: Patient) -> Result<(), Unchanged> {
        if self.patient(&patient.recno).is_some() {
            return Err("the patient is here already");
        }
        self.free_for(&patient.recno, &patient.bed)?;
        self.patients.push(patient);
        Ok(())
    }

    /// A02, and A12 with the bed that the patient goes back to.
    pub(crate) fn transfer(&mut self, recno: &str, bed: &str) -> Result<(), Unchanged> {
        self.patient(recno).ok_or(UNKNOWN_PATIENT)?;
        self.free_for(recno, bed)?;
        if let Some(patient) = self.patient_mut(recno) {
            bed.clone_into(&mut patient.bed);
        }
        Ok(())
    }

    /// A08.
    pub(crate) fn update(&mut self, recno: &str, name: &str) -> Result<(), Unchanged> {
        let patient = self.patient_mut(recno).ok_or(UNKNOWN_PATIENT)?;
        name.clone_into(&mut patient.name);
        Ok(())
    }

    /// A03 and A11.
    pub(crate) fn leave(&mut self, recno: &str) -> Result<(), Unchanged> {
        let place = self.patients.iter().position(|patient| patient.recno == recno).ok_or(UNKNOWN_PATIENT)?;
        let patient = self.patients.remove(place);
        self.remember(patient);
        for entities in self.classes.values_mut() {
            entities.retain(|entity| entity.get("medRecNum").is_none_or(|other| other != recno));
        }
        Ok(())
    }

    /// A13: a patient who left comes back.
    pub(crate) fn come_back(&mut self, recno: &str, bed: &str) -> Result<(), Unchanged> {
        let place = self.discharged.iter().rposition(|patient| patient.recno == recno);
        let place = place.ok_or("no discharge to cancel")?;
        let patient = Patient { bed: bed.to_owned(), ..self.discharged[place].clone() };
        self.admit(patient)?;
        self.discharged.remove(place);
        Ok(())
    }

    /// A17: both get the beds named for them, if these are free or the other's.
    pub(crate) fn swap(&mut self, first: (&str, &str), second: (&str, &str)) -> Result<(), Unchanged> {
        for (recno, bed) in [first, second] {
            self.patient(recno).ok_or(UNKNOWN_PATIENT)?;
            let taker = self.patients.iter().find(|patient| !bed.is_empty() && patient.bed == bed);
            match taker {
                Some(taker) if ![first.0, second.0].contains(&taker.recno.as_str()) => return Err(OCCUPIED),
                _ if !bed.is_empty() && !self.beds.iter().any(|name| name == bed) => return Err(UNKNOWN_BED),
                _ => {}
            }
        }
        if first.0 == second.0 || (first.1 == second.1 && !first.1.is_empty()) {
            return Err("the two are one");
        }
        for (recno, bed) in [first, second] {
            if let Some(patient) = self.patient_mut(recno) {
                bed.clone_into(&mut patient.bed);
            }
        }
        Ok(())
    }
}
