//! What the fuzz target and a property test check, for any bytes: a message's whole way, with nobody at its end.

use std::ffi::OsString;
use std::io::Cursor;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use protogen_codes::lab_event_info::LabEventInfos;
use protogen_codes::manage::{Load, Manager};
use protogen_codes::read::{Notices, Source};
use protogen_codes::table::Kind;
use protogen_codes::units::Units;
use protogen_core::hl7::{Message, Outcome};
use protogen_core::hl7hosts::Matching;
use protogen_sys::site::Site;

use crate::gateway::{Gateway, Places};
use crate::session::in_carevues_characters;
use crate::transaction::{Target, Transaction};

/// A gateway that sends, writes and tells nothing.
pub struct DryRun(Gateway);

impl DryRun {
    /// One with the shipped profile and tables, which it makes below `home`; `idb_direct` answers for the census.
    ///
    /// # Errors
    /// When the files cannot be made.
    pub fn new(home: &Path, idb_direct: fn(&[OsString]) -> u8) -> Result<DryRun> {
        std::fs::create_dir_all(home.join("etc"))?;
        std::fs::write(home.join("etc/cvgateway.toml"), "")?;
        let etc = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../etc");
        load(&LabEventInfos::default(), home, &etc.join("LabEventInfo.tab"))?;
        load(&Units, home, &etc.join("units.tab"))?;
        let site = Site::from_variables(|name| (name == "PG_HOME").then(|| home.into()));
        let places = Places { site, matching: Matching::Exact, fsi: "1".parse()?, stub: Some(idb_direct) };
        Ok(DryRun(Gateway::new(places, "060_IOP")?))
    }

    /// Carries out the bytes as a message, if they are one. What would be sent is a message that CareVue can take; what
    /// is refused is not sent.
    ///
    /// # Panics
    /// When that is not so.
    pub fn carry_out(&self, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else { return };
        let loaded = self.0.loaded();
        let tx = Transaction {
            gateway: &self.0,
            loaded: &loaded,
            target: Target::Nobody(Mutex::default()),
            control_id: message.control_id().to_vec(),
            progress: Mutex::default(),
        };
        let reply = in_carevues_characters(&tx, &message, |message| tx.carry_out(message));
        assert!(reply.told().len() <= 400 && reply.told().bytes().all(|byte| matches!(byte, b' '..=b'~')));
        let Target::Nobody(notes) = &tx.target else { return };
        for note in notes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // What is no ASCII is shown in another way than it is sent, and so is a line feed within a field.
            if note.starts_with("MSH") && note.is_ascii() && !bytes.contains(&b'\n') {
                sound(note.replace('\n', "\r").as_bytes(), reply.outcome);
            }
        }
    }
}

fn load<K: Kind>(kind: &K, home: &Path, file: &Path) -> Result<()> {
    let mut tell = |_: &_| {};
    let manager = Manager::new(kind, &home.join("lib/codes"), Duration::from_secs(10));
    manager.load(
        Load::Create,
        &mut [Source::new(file, Cursor::new(std::fs::read(file)?))],
        &mut Notices::new(&mut tell),
    )?;
    Ok(())
}

fn sound(sent: &[u8], outcome: Outcome) {
    let shown = sent.escape_ascii();
    let message = Message::parse(sent);
    assert!(message.is_ok(), "{shown}");
    let Ok(message) = message else { return };
    assert_eq!(message.header(3).raw(), b"CVGATEWAY", "{shown}");
    let count = |name: &[u8; 3]| message.named(*name).count();
    match message.header(9).component(1).raw() {
        b"ADT" => {
            assert_eq!(outcome, Outcome::Accepted, "{shown}");
            assert!(message.segments().next_back().is_some_and(|last| last.name() == b"ZDM"), "{shown}");
            assert_eq!(count(b"PID"), count(b"ZDM"), "{shown}");
        }
        b"ORU" => {
            assert!(count(b"PV1") == 0 && count(b"PID") == 1 && count(b"OBX") > 0, "{shown}");
            for (n, obx) in message.named(*b"OBX").enumerate() {
                assert_eq!(obx.field(1).raw(), (n + 1).to_string().as_bytes(), "{shown}");
            }
        }
        // NMD stays as it came.
        _ => return,
    }
    assert!(message.named(*b"PID").all(|pid| pid.field(3).is_valued()), "{shown}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    /// Any of the statuses, by the length of the arguments.
    fn census(arguments: &[OsString]) -> u8 {
        let length: usize = arguments.iter().map(|argument| argument.len()).sum();
        [0, 1, 2, 3, 7, 0o22, 0o27, 0o72, 0o33, 0o77, 0o12][length % 11]
    }

    static RUN: LazyLock<(protogen_testkit::Dir, DryRun)> = LazyLock::new(|| {
        let dir = protogen_testkit::Dir::new();
        let run = DryRun::new(dir.path(), census).unwrap();
        (dir, run)
    });

    fn segment() -> impl Strategy<Value = String> {
        let field = prop_oneof![
            Just(String::new()),
            "[A-Z0-9^~&\\\\.]{0,8}",
            proptest::sample::select(vec![
                "2703-7",
                "9984-6",
                "3142-7",
                "BGATYPA",
                "kg",
                "mmol/l",
                "kPal",
                "8.0",
                "0.3",
                "IOP^601^1",
                "BLDA",
                "W",
                "\"\"",
            ])
            .prop_map(str::to_owned),
        ];
        let name = proptest::sample::select(vec!["PID", "PV1", "OBR", "OBX", "EVN", "NK1", "SPM", "ZZ1"]);
        (name, proptest::collection::vec(field, 0..22))
            .prop_map(|(name, fields)| format!("{name}|{}\r", fields.join("|")))
    }

    proptest! {
        #[test]
        fn any_message(
            event in proptest::sample::select(vec!["ADT^A01", "ADT^A02", "ADT^A17", "ADT^A08", "ORU^R01", "NMD", "ADT"]),
            segments in proptest::collection::vec(segment(), 0..12),
            visit in 0..3u8,
        ) {
            let mut text = format!("MSH|^~\\&|A|B|C|D|||{event}|1|P|2.3\r");
            for _ in 0..visit {
                text += "PID|1||7\rPV1|1|I|IOP^601^1|||IOP^601^2|||||||||||||77\rOBX|1|NM|2703-7||8|kPal\r";
            }
            RUN.1.carry_out((text + &segments.concat()).as_bytes());
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            RUN.1.carry_out(&[b"MSH|^~\\&|A|B|C|D|||ORU^R01|1|P|2.3\r", &bytes[..]].concat());
        }
    }
}
