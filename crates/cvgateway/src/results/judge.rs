//! One observation: which row of LabEventInfo it is, and what becomes of its value (cvgateway(8), RESULTS).

use std::collections::HashMap;

use protogen_codes::lab_event_info::LabEventInfo;
use protogen_codes::loinc::CodingSystem;
use protogen_codes::store::StoreError;
use protogen_codes::units::{Constant, convert, parse_decimal};
use protogen_core::hl7::Segment;

use crate::profile::Profile;
use crate::reply::printable;
use crate::tables::{KnownUnits, Tables};

type Infos = HashMap<String, LabEventInfo>;

/// What is told of a foreign code or value, in bytes.
const MAX_TOLD: usize = 40;

/// Where the blood of an order is from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Specimen {
    /// The specimen source, in capitals.
    pub(crate) code: String,
    /// `A` arterial, `V` venous.
    pub(crate) side: Option<char>,
}

impl Specimen {
    /// What this code means by the profile.
    pub(crate) fn of(code: &str, profile: &Profile) -> Specimen {
        let code = code.to_uppercase();
        let side = if profile.arterial.contains(&code) {
            Some('A')
        } else {
            profile.venous.contains(&code).then_some('V')
        };
        Specimen { code, side }
    }
}

/// What becomes of an observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes to CLI.
    Sent {
        /// OBX-3.
        key: String,
        /// OBX-5; `None` for a text, which stays as it is.
        value: Option<String>,
        /// OBX-6.
        unit: String,
        /// OBX-8, where the sender gave none.
        flag: &'static str,
        /// The unit is another one than the sender's, so that the sender's reference range (OBX-7) is none of this value.
        converted: bool,
    },
    /// An admit observation: height `H`, weight `W` or body surface `S`.
    Admit { kind: char, value: String },
    /// Left out.
    Left {
        code: String,
        why: String,
        /// For its bounds or its unit, which the administrator is told.
        alarm: bool,
        /// It was to be an admit observation.
        admit: bool,
    },
    /// The sender withdraws a result, which CareVue cannot.
    Withdrawn { code: String },
}

/// Judges an OBX. Without tables nothing has a row.
pub(crate) fn judge(obx: &Segment, specimen: &Specimen, tables: &Tables) -> Fate {
    let text = |n: usize, component: usize| {
        String::from_utf8_lossy(&obx.field(n).repetition(1).component(component).text()).into_owned()
    };
    let code = text(3, 1);
    let named = printable(code.as_bytes(), MAX_TOLD);
    let left = |why: String, alarm| Fate::Left { code: named.clone(), why, alarm, admit: false };
    match text(11, 1).as_str() {
        "" | "F" | "P" | "R" | "C" | "U" => {}
        "D" | "W" => return Fate::Withdrawn { code: named },
        other => return left(format!("its status is {}", printable(other.as_bytes(), 4)), false),
    }
    let (Some(infos), Some(units)) = (&tables.infos, &tables.units) else {
        return left("no LabEventInfo or units table".into(), false);
    };
    let row = match find(&code, &text(3, 3), infos, tables) {
        Ok(Some(row)) => row,
        Ok(None) => return left("it has no row in LabEventInfo".into(), false),
        Err(why) => return left(why, false),
    };
    let row = match by_specimen(row, specimen, infos) {
        Ok(row) => row,
        Err(why) => return left(why, false),
    };
    if row.is_text() {
        let converted = !text(6, 1).is_empty();
        return Fate::Sent {
            key: row.loinc_num.clone(),
            value: None,
            unit: String::new(),
            flag: "",
            converted,
        };
    }
    let admits = admits(row);
    let left = |why: String, alarm| Fate::Left { code: named.clone(), why, alarm, admit: admits.is_some() };
    let field = obx.field(5);
    let number = field
        .is_leaf()
        .then(|| field.text())
        .and_then(|text| parse_decimal(std::str::from_utf8(&text).ok()?.trim_matches(' ')));
    let Some(number) = number else { return left("its value is no number".into(), false) };
    let (number, converted) = match in_unit(number, &text(6, 1), row, units) {
        Ok(in_unit) => in_unit,
        Err(why) => return left(why, true),
    };
    let unit = row.unit.clone().unwrap_or_default();
    let allowed = format!("{} to {} {unit}", row.allowed.low, row.allowed.high);
    if row.allowed.is_below(number) || row.allowed.is_above(number) {
        return left(format!("its value is outside of {allowed}"), true);
    }
    let Some(value) = row.print(number) else { return left("its value has too many digits".into(), true) };
    // An increment may be larger than the lower boundary, and what is printed is what CareVue stores.
    let Some(printed) = parse_decimal(&value) else { return left("its value is no number".into(), true) };
    if row.allowed.is_below(printed) || row.allowed.is_above(printed) {
        return left(format!("its value is rounded to {value}, outside of {allowed}"), true);
    }
    match (row.lab_event_class.is_some(), admits) {
        (false, Some(kind)) => Fate::Admit { kind, value },
        (false, None) => left("its row has no lab event".into(), false),
        (true, _) => {
            let flag = if row.alert.is_below(number) {
                "LL"
            } else if row.alert.is_above(number) {
                "HH"
            } else if row.normal.is_below(number) {
                "L"
            } else if row.normal.is_above(number) {
                "H"
            } else {
                ""
            };
            Fate::Sent { key: row.loinc_num.clone(), value: Some(value), unit, flag, converted }
        }
    }
}

/// Which admit observation a row is of, if it is one.
fn admits(row: &LabEventInfo) -> Option<char> {
    match row.msmt.as_deref() {
        _ if row.lab_event_class.is_some() => None,
        Some("H") => Some('H'),
        Some("W") => Some('W'),
        Some("S") => Some('S'),
        _ => None,
    }
}

/// The row of a code: by itself, else by the LOINC numbers that its coding system gives it. A row with a number of LOINC+
/// is not taken for LOINC's own number, which means something else.
fn find<'t>(
    code: &str,
    system: &str,
    infos: &'t Infos,
    tables: &Tables,
) -> Result<Option<&'t LabEventInfo>, String> {
    let broken = |error: StoreError| {
        log::error!("{error}");
        "the code tables cannot be read".to_owned()
    };
    let system = CodingSystem::of_name(system);
    if let Some(row) = infos.get(code) {
        let is_plus = match (&tables.loinc, system) {
            (Some(loinc), Some(CodingSystem::Loinc)) => {
                loinc.record(&format!("LOINC+:{code}")).map_err(broken)?.is_some()
            }
            _ => false,
        };
        return Ok(Some(row).filter(|_| !is_plus));
    }
    let (Some(loinc), Some(system)) = (&tables.loinc, system) else { return Ok(None) };
    let mut found = Vec::new();
    for record in loinc.records(code, system).map_err(broken)? {
        let number = record.number();
        found.extend(infos.get(number.rsplit(':').next().unwrap_or(number)));
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err("it stands for several rows of LabEventInfo".into()),
    }
}

/// A row whose property is `*NAME*` points to `NAMEA` for arterial blood and `NAMEV` for venous.
fn by_specimen<'t>(
    row: &'t LabEventInfo,
    specimen: &Specimen,
    infos: &'t Infos,
) -> Result<&'t LabEventInfo, String> {
    let property = row.property.as_deref().unwrap_or_default();
    let Some(name) = property.strip_prefix('*').and_then(|name| name.strip_suffix('*')) else {
        return Ok(row);
    };
    let side = specimen.side.ok_or("its specimen is neither arterial nor venous")?;
    let wanted = format!("{name}{side}");
    infos.get(&wanted).ok_or_else(|| format!("there is no row {wanted} in LabEventInfo"))
}

/// The unit of a number without one.
const PLAIN: &str = "1";

/// The value in the row's unit, and whether that is another one than the sender's.
fn in_unit(
    value: rust_decimal::Decimal,
    unit: &str,
    row: &LabEventInfo,
    units: &KnownUnits,
) -> Result<(rust_decimal::Decimal, bool), String> {
    let find = |code: &str| match units.unit(code) {
        Ok(Some(unit)) => Ok(unit),
        Ok(None) => Err(format!("the unit {:?} is not known", printable(code.as_bytes(), MAX_TOLD))),
        Err(error) => {
            log::error!("{error}");
            Err("the units table cannot be read".to_owned())
        }
    };
    let wanted = match (row.unit.as_deref(), unit.is_empty()) {
        (None, true) => return Ok((value, false)),
        (Some(_), true) => return Err("it has no unit".into()),
        (wanted, false) => wanted.unwrap_or(PLAIN),
    };
    let (from, to) = (find(unit)?, find(wanted)?);
    let constant = match &row.constant {
        Some((value, unit)) => Some((*value, find(unit)?)),
        None => None,
    };
    let constant = constant.as_ref().map(|(value, unit)| Constant { value: *value, unit });
    let value = convert(value, &from, &to, constant)
        .map_err(|_| format!("{} does not convert to {wanted}", printable(unit.as_bytes(), MAX_TOLD)))?;
    Ok((value, from.expression() != to.expression()))
}
