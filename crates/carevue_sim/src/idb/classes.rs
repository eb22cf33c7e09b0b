//! The classes, their attributes, and who may write to them.

use anyhow::{Result, bail};

use crate::state::{Entity, State};

/// A class of the database.
pub(super) struct Class {
    name: &'static str,
    attributes: &'static [&'static str],
}

const CLASSES: [Class; 5] = [
    Class { name: "BedConfig", attributes: &["name", "careUnit"] },
    Class { name: "Patient", attributes: &["medRecNum", "bed", "name"] },
    Class { name: "CISCareUnitCfg", attributes: &["name", "objectId"] },
    Class {
        name: "LabEventMap",
        attributes: &["objectId", "careUnit", "labTestCode", "mappedPtEvent", "property", "msmt", "unit"],
    },
    Class { name: "AdmitObservation", attributes: &["medRecNum", "ht", "admitWt", "BSA"] },
];
/// The object id of the one care unit.
const CARE_UNIT_ID: &str = "1";

/// The class of this name.
pub(super) fn class(name: &str) -> Result<&'static Class> {
    match CLASSES.iter().find(|class| class.name == name) {
        Some(class) => Ok(class),
        None => {
            let names = CLASSES.map(|class| class.name);
            bail!("no such class; there are {}", names.join(", "))
        }
    }
}

impl Class {
    /// Fails unless the class has all of these attributes.
    pub(super) fn has<T: AsRef<str>>(&self, attributes: impl IntoIterator<Item = T>) -> Result<()> {
        for attribute in attributes {
            if !self.attributes.contains(&attribute.as_ref()) {
                bail!("no such attribute; {} has {}", self.name, self.attributes.join(", "));
            }
        }
        Ok(())
    }

    /// All entities, as they are read.
    pub(super) fn entities(&self, state: &State) -> Vec<Entity> {
        let entity = |values: &[(&str, &str)]| -> Entity {
            let values = values.iter().filter(|(_, value)| !value.is_empty());
            values.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        match self.name {
            "BedConfig" => {
                state.beds.iter().map(|bed| entity(&[("name", bed), ("careUnit", CARE_UNIT_ID)])).collect()
            }
            "Patient" => {
                let patient = |recno: &str, bed: &str, name: &str| {
                    entity(&[("medRecNum", recno), ("bed", bed), ("name", name)])
                };
                state.census().map(|one| patient(&one.recno, &one.bed, &one.name)).collect()
            }
            "CISCareUnitCfg" => vec![entity(&[("name", &state.careunit), ("objectId", CARE_UNIT_ID)])],
            _ => state.classes.get(self.name).cloned().unwrap_or_default(),
        }
    }

    /// The entities of a class that idb may write to.
    pub(super) fn writable<'s>(&self, state: &'s mut State) -> Result<&'s mut Vec<Entity>> {
        match self.name {
            "LabEventMap" | "AdmitObservation" => Ok(state.classes.entry(self.name.to_owned()).or_default()),
            "Patient" => bail!("Patient is the patient manager's; admit by a message"),
            name => bail!("{name} is configuration and not written to here"),
        }
    }

    /// Fails for what the real one ends with an error at.
    pub(super) fn check(&self, entity: &Entity) -> Result<()> {
        self.has(entity.keys())?;
        let filled = |name: &str| entity.get(name).is_some_and(|value| !value.is_empty());
        match self.name {
            "LabEventMap" if !filled("mappedPtEvent") => bail!("mappedPtEvent must name an event"),
            "LabEventMap" if !filled("labTestCode") => bail!("labTestCode must name a test"),
            "AdmitObservation" if !filled("medRecNum") => bail!("medRecNum must name a patient"),
            _ => Ok(()),
        }
    }
}

/// Adds an entity to a class. Admit observations are one a patient, of one whom the patient manager knows.
pub(crate) fn insert(state: &mut State, name: &str, mut entity: Entity) -> Result<()> {
    let class = class(name)?;
    class.check(&entity)?;
    if class.name == "AdmitObservation" {
        let recno = entity.get("medRecNum").cloned().unwrap_or_default();
        if !state.census().any(|patient| patient.recno == recno) {
            bail!("the patient manager does not know this patient");
        }
        let others = state.classes.get(class.name).into_iter().flatten();
        if others.into_iter().any(|other| other.get("medRecNum") == Some(&recno)) {
            bail!("this patient has admit observations already");
        }
    }
    let entities = class.writable(state)?;
    if class.name == "LabEventMap" && !entity.contains_key("objectId") {
        let numbers = entities.iter().filter_map(|one| one.get("objectId")?.parse::<u64>().ok());
        entity.insert("objectId".to_owned(), (numbers.max().unwrap_or(0) + 1).to_string());
    }
    entities.push(entity);
    Ok(())
}
